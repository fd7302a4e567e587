"""The pairs that `peers.py` asks about: those of a zoo, and those of released models with descendants of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from kinprint import transform
from kinprint.benchmark import Pair, Pairs, from_zoo
from kinprint.checkpoints import open_checkpoint

CHILDREN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "noisy": ("noise", {"amount": 0.05, "seed": 1}),
    "int8": ("quantize", {"scheme": "int8"}),
    "a quarter of the layers gone": ("prune", {"kind": "depth", "amount": 0.25}),
    "a fifth of heads and neurons gone": ("prune", {"kind": "width", "amount": 0.2}),
    "disguised": ("disguise", {"seed": 7}),
}
"""What is made of every released model; of an encoder, no pruned models."""

ENCODERS = ("bert",)


@dataclass(frozen=True)
class Asked:
    """Pairs with the rows of the table that counts them.

    Attributes:
        name: in the rows that are kept.
        pairs: what is asked.
        group: of a pair, the row it is counted in.
        of: a sentence on where they come from.
    """

    name: str
    pairs: Pairs
    group: Mapping[Pair, str]
    of: str


def of_zoo(folder: Path, every: int, kept: Path) -> Asked:
    """Every n-th pair of a zoo, from the first, in the order of its lineage; copies of models that need one are kept."""
    found = from_zoo(folder)
    taken = found.pairs[::every]
    of = f"The {found.name}: {len(found.models)} models, {_which(every)} {len(found.pairs)} pairs in the order of the lineage."
    models = {name: str(_in_order(Path(place), kept / name)) for name, place in found.models.items()}
    pairs = Pairs(found.name, taken, models)
    return Asked(found.name, pairs, {pair: _kind(pair) for pair in taken}, of)


def _kind(pair: Pair) -> str:
    if pair.truth == "related":
        kin = "one line, neither the ancestor" if pair.kind == "relatives" else "ancestor and descendant"
        return f"{kin}, disguised" if pair.disguised else kin
    if pair.truth == "shared-initialisation":
        return "random start in common"
    return f"strangers: {pair.kind}"


def of_released(folder: Path, originals: Sequence[Path], every: int) -> Asked:
    """Released models as folders that every peer reads, with descendants, made now if they have to be.

    Related are an original and each of its descendants. Strangers are two originals, and the descendants of two originals that
    were made in the same way; of all of these, every n-th pair from the first.
    """
    made = {path.stem.split(".")[0].lower(): path for path in originals}
    models = {name: str(_original(folder / name, path)) for name, path in made.items()}
    kinds = {name: [kind for kind in CHILDREN if "gone" not in kind or not _encoder(models[name])] for name in made}
    pairs = []
    for name, own in kinds.items():
        for kind in own:
            child = f"{name}, {kind}"
            models[child] = str(_child(Path(models[name]), folder / child.replace(", ", "-").replace(" ", "-"), kind))
            pairs.append(Pair(name, child, "related", kind, kind == "disguised"))
    for one, other in combinations(made, 2):
        pairs.append(Pair(one, other, "unrelated", "strangers"))
        alike = [kind for kind in kinds[one] if kind in kinds[other]]
        pairs += [Pair(f"{one}, {kind}", f"{other}, {kind}", "unrelated", "strangers, changed alike") for kind in alike]
    models = {name: str(_in_order(Path(place), folder / "in-order" / Path(place).name)) for name, place in models.items()}
    taken = pairs[::every]
    origin = f"Released models ({', '.join(made)}) cast to bf16, and {len(models) - len(made)} descendants"
    of = f"{origin}: {_which(every)} {len(pairs)} pairs, related ones first."
    return Asked("released", Pairs("released", tuple(taken), models), {pair: pair.kind for pair in taken}, of)


def _which(every: int) -> str:
    return "all" if every == 1 else f"one in {every}, from the first, of"


def _encoder(folder: str) -> bool:
    return open_checkpoint(folder).config.get("model_type") in ENCODERS


def _in_order(source: Path, target: Path) -> Path:
    """The model with its tensors in the order of their names, as the safetensors library writes them; itself if they are.

    kinprint's transforms write them in another order. model-provenance-kit lines tensors up as they come in the file.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    weights = source / "model.safetensors"
    if target.exists():
        return target
    if not weights.exists():
        return source
    with safe_open(weights, "pt") as file:
        names = file.offset_keys()
        kinds = {file.get_slice(name).get_dtype() for name in names}
    if len(kinds) == 1 and names == sorted(names):
        return source
    new = _fresh(target)
    shutil.copytree(source, new)
    save_file(load_file(weights), new / weights.name, {"format": "pt"})
    new.rename(target)
    return target


def _original(target: Path, source: Path) -> Path:
    """The bf16 copy of a released model. A GGUF file's tokenizer is converted by transformers, because peers read it too, and
    the configuration names its class, as those of hubs do."""
    if not target.exists():
        new = _fresh(target)
        transform("cast", source, new, dtype="bf16", check=False)
        if source.suffix == ".gguf":
            import transformers

            given: Any = transformers.AutoTokenizer
            given.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True).save_pretrained(new)
            _name_class(new / "config.json")
        new.rename(target)
    return target


def _name_class(file: Path) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CLASSES

    config = json.loads(file.read_text())
    file.write_text(json.dumps({"architectures": [CLASSES[config["model_type"]]], **config}, indent=2) + "\n")


def _child(source: Path, target: Path, kind: str) -> Path:
    if not target.exists():
        name, options = CHILDREN[kind]
        new = _fresh(target)
        transform(name, source, new, check=False, **options)
        new.rename(target)
    return target


def _fresh(target: Path) -> Path:
    """A folder beside the target that is not there yet: the target itself appears once it is whole."""
    new = target.with_name(f"{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    return new
