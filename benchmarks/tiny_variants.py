"""Files that people make of a model, each with what is true of the pair: the same weights in another wrapping, or not quite."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import load_file, save_file

Truth = Literal["identical", "related", "stranger", "not identical"]
Tensors = Mapping[str, np.ndarray]

FRONTS = ("_orig_mod.", "module.", "base_model.model.")
NOISE = 1e-3
NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


@dataclass(frozen=True)
class Variant:
    """One file made of a model.

    Attributes:
        name: what was done.
        truth: of the pair: what a right verdict is.
        place: the folder or file to open.
        detail: which tensor was drawn anew.
    """

    name: str
    truth: Truth
    place: Path
    detail: str = ""


def variants(
    folder: Path, work: Path, roles: Iterable[str], others: Iterable[str], tied: Mapping[str, str], *, every: bool = False
) -> Iterator[Variant]:
    """Everything made of the model in `folder` with `model.safetensors`, one after the other, each gone when the next is made.

    Args:
        work: an empty folder for them.
        roles, others: names of its tensors with a role, and without.
        tied: name of a tensor that the file leaves out -> the stored one that it is.
        every: draw one tensor of every kind anew, not one with a role and one without.
    """
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    random = np.random.default_rng(zlib.crc32(folder.parent.name.encode()))

    def made(name: str, truth: Truth, tensors: Tensors, config: Any = config, detail: str = "") -> Variant:
        return Variant(name, truth, _written(work / _fit_for_a_path(name), tensors, config), detail)

    yield made("noisy child", "related", {name: _noisy(array, random) for name, array in tensors.items()})
    for word in ("qwen2" if config.get("model_type") == "llama" else "llama", "something-new"):
        yield made(f"type {word}", "identical", tensors, _renamed(config, word))
    yield made("no configuration", "identical", tensors, None)
    for front in FRONTS:
        yield made(f"{front}*", "identical", {front + name: array for name, array in tensors.items()})
    inside = {_inside(name): array for name, array in tensors.items()}
    if inside.keys() != tensors.keys():
        yield made("_checkpoint_wrapped_module", "identical", inside)
    yield Variant("two .bin", "identical", _pickled(work / "two-bin", tensors, config))
    vocabulary = {name for name in tied if tensors[tied[name]].ndim == 2 and not NUMBER.search(name)}
    for what, names in (("tied head twice", vocabulary), ("shared twice", tied.keys() - vocabulary)):
        if names:
            yield made(what, "identical", {**tensors, **{name: tensors[tied[name]].copy() for name in names}})
    for what, names in (("role drawn anew", roles), ("other drawn anew", others)):
        known = sorted(name for name in names if name in tensors and tensors[name].size)
        kinds = list({NUMBER.sub("0", name): name for name in known}.values())
        for name in kinds if every else ([known[int(random.integers(len(known)))]] if known else []):
            yield made(what, "not identical", {**tensors, name: _anew(tensors[name], random)}, detail=name)
    weights = {name: tensors[name] for name in {*roles, *others} if name in tensors}
    left_out = str(random.choice(sorted(weights)))
    rest = {name: array for name, array in tensors.items() if name != left_out}
    yield made("one left out", "not identical", rest, detail=left_out)
    if pair := _exchanged(weights, random):
        one, other = pair
        changed = {**tensors, one: tensors[other], other: tensors[one]}
        yield made("two exchanged", "not identical", changed, detail=f"{one}, {other}")


def _exchanged(tensors: Tensors, random: np.random.Generator) -> tuple[str, str] | None:
    """Two tensors of one shape and other values, that a look-alike has under each other's name."""
    names = [str(name) for name in random.permutation(sorted(tensors))]
    pairs = ((one, other) for one, other in combinations(names, 2) if tensors[one].shape == tensors[other].shape)
    return next((pair for pair in pairs if not np.array_equal(tensors[pair[0]], tensors[pair[1]], equal_nan=True)), None)


def _noisy(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if array.dtype.kind != "f" or array.size < 2:
        return array
    return (array + NOISE * array.std() * random.standard_normal(array.shape)).astype(array.dtype)


def _anew(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Other values of the same kind."""
    if array.dtype.kind == "b":
        return ~array
    if array.dtype.kind in "iu":
        return (array + 1).astype(array.dtype)
    return (array.mean() + (array.std() or 1) * random.standard_normal(array.shape)).astype(array.dtype)


def _renamed(config: Mapping[str, Any], word: str) -> dict[str, Any]:
    """As a rebrander leaves it: another type, and another class."""
    inner = {key: {**value, "model_type": word} for key, value in config.items()
             if key == "text_config" and isinstance(value, Mapping)}  # fmt: skip
    return {**config, **inner, "model_type": word, "architectures": [f"{word.title().replace('-', '')}ForCausalLM"]}


def _inside(name: str) -> str:
    """With the step that gradient checkpointing leaves behind the number of a layer."""
    return re.sub(r"((?:^|\.)(?:layers|layer|h|blocks|block)\.\d+)\.", r"\1._checkpoint_wrapped_module.", name, count=1)


def _fit_for_a_path(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-")


def _written(folder: Path, tensors: Tensors, config: Any) -> Path:
    """A folder, or without a configuration a bare file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(
        {name: np.array(array, order="C") for name, array in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    if config is None:
        return folder / "model.safetensors"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _pickled(folder: Path, tensors: Tensors, config: Any) -> Path:
    """Two files of torch.save, and their index."""
    import torch

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    names, places = sorted(tensors), {}
    for number, half in enumerate((names[::2], names[1::2]), 1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: torch.from_numpy(tensors[name].copy()) for name in half}, folder / file)
        places |= dict.fromkeys(half, file)
    index = {"metadata": {"total_size": sum(array.nbytes for array in tensors.values())}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder
