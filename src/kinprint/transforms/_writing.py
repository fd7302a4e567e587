"""A model as a folder that `transformers` loads: tensors streamed one by one, the folder moved into place at the end."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place, layout
from kinprint.architectures.anatomy import Name
from kinprint.architectures.facts import of_layer
from kinprint.checkpoints import Checkpoint
from kinprint.checkpoints.files import replacing_folder
from kinprint.checkpoints.folders import ModelFolder
from kinprint.checkpoints.formats.safetensors import DTYPES
from kinprint.checkpoints.nested_config import replaced
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError, TransformError
from kinprint.transforms._model import Model

Progress = Callable[[int, int], None]
SHARD_BYTES = 5_000_000_000
MAX_COPIED = 200_000_000

BESIDE = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"),
    *("vocab.txt", "tokenizer.model", "spiece.model", "chat_template.jinja", "generation_config.json", "LICENSE"),
)
"""Files that are copied; the model card is not, since it speaks of another model."""

NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class TensorPiece:
    """One tensor of the new file, not computed yet."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write(
    model: Model,
    target: Path,
    *,
    progress: Progress | None = None,
    shard_bytes: int = SHARD_BYTES,
    checked: Callable[[Path], None] | None = None,
) -> None:
    """Write a model into a new folder, which appears complete or not at all.

    Args:
        target: the folder to make; an empty one may be there.
        progress: called with bytes written and bytes in all.
        shard_bytes: largest weights file, unless a single tensor is larger.
        checked: called with the complete folder before it appears; what it raises is raised, and nothing is written.

    Raises:
        TransformError: the target exists, or its parent does not or cannot be written to.
    """
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise TransformError(target, "exists already", "choose another folder, or remove it")
    try:
        with replacing_folder(target) as folder:
            _write_all(model, folder, progress, shard_bytes)
            if checked is not None:
                checked(folder)
    except OSError as error:
        raise TransformError(target, f"cannot be written ({error.strerror or error})", "check it and the space") from None


def _write_all(model: Model, folder: Path, progress: Progress | None, shard_bytes: int) -> None:
    pieces = list(_pieces(model))
    total, done = sum(piece.size for piece in pieces), 0
    shards = _shards(pieces, shard_bytes)
    files: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        files |= {piece.name: name for piece in shard}
        for size in _write_shard(folder / name, shard):
            done += size
            if progress is not None:
                progress(done, total)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": files}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    (folder / "config.json").write_text(json.dumps(_config(model), indent=2) + "\n")
    if model.folder is not None:
        _copy_beside(model.folder, folder)


def _config(model: Model) -> dict[str, Any]:
    return replaced(model.outer, model.config) if model.outer else dict(model.config)


def in_memory(model: Model, name: str) -> Checkpoint:
    """A model as the checkpoint that `write` would write, without a file; every tensor is computed now."""
    tensors = {}
    for piece in _pieces(model):
        array = piece.read()
        array.flags.writeable = False
        tensors[piece.name] = replace(piece, read=lambda array=array: array)  # type: ignore[misc]
    return Checkpoint(name, name, tensors, json.loads(json.dumps(_config(model))))


def _write_shard(path: Path, pieces: list[TensorPiece]) -> Iterator[int]:
    """Write one safetensors file; yields the bytes of each tensor as it is done.

    Written here because the library of that name wants all tensors of a file in memory.
    """
    ends = np.cumsum([piece.size for piece in pieces]).tolist()
    header = {
        piece.name: {"dtype": NAMES[piece.dtype], "shape": piece.shape, "data_offsets": [end - piece.size, end]}
        for piece, end in zip(pieces, ends, strict=True)
    }
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for piece in pieces:
            array = piece.read()
            if array.shape != piece.shape or array.dtype != piece.dtype:
                raise AssertionError(f"{piece.name}: {array.shape} {array.dtype}, announced {piece.shape} {piece.dtype}")
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            yield piece.size
        file.flush()
        os.fsync(file.fileno())


def _shards(pieces: list[TensorPiece], limit: int) -> list[list[TensorPiece]]:
    shards: list[list[TensorPiece]] = [[]]
    for piece in pieces:
        if shards[-1] and sum(written.size for written in shards[-1]) + piece.size > limit:
            shards.append([])
        shards[-1].append(piece)
    return shards


def _pieces(model: Model) -> Iterator[TensorPiece]:
    """Every tensor of the new file: the model's parts under its names, then the tensors without a role."""
    left = set(model.parts)
    claims: dict[str, set[str]] = defaultdict(set)
    for name in model.names:
        claims[name.entry.roles[0]].add(_kind(name.pattern))
    for name in model.names:
        for layer in range(model.layers) if "{layer}" in name.pattern else [None]:
            present = {place[2] for place in model.parts if place[0] == layer and place[1] == name.entry.roles[0]}
            of_experts = name.entry.stacked_experts or "{expert}" in name.pattern
            present = {expert for expert in present if (expert is not None) == of_experts}
            own = {expert: _kind(model.parts[layer, name.entry.roles[0], expert].tensor) for expert in present}
            others = claims[name.entry.roles[0]] - {_kind(name.pattern)}  # layers may call one role by different names
            present = {expert for expert, kind in own.items() if kind not in others}
            experts = sorted(present, key=lambda e: -1 if e is None else e)
            together = [experts] if name.entry.stacked_experts else [[expert] for expert in experts]
            for group in together if experts else []:
                places = [[(layer, role, expert) for role in name.entry.roles] for expert in group]
                left -= {place for row in places for place in row}
                yield _piece(model, name, layer, group[0], [[model.parts[place] for place in row] for row in places])
    if left:
        raise TransformError(model.source, f"its file has no name for {_spoken(min(left, key=str))}")
    for name_in_file, tensor in model.rest.items():
        yield TensorPiece(name_in_file, tensor.dtype, tensor.shape, tensor.read)


def _kind(name: str) -> str:
    """A name, or a pattern of names, with every index alike."""
    return re.sub(r"(?<![^.])(\d+|\{\w+\})(?![^.])", "0", name)


def _piece(model: Model, name: Name, layer: int | None, expert: int | None, parts: list[list[Part]]) -> TensorPiece:
    """One tensor from the parts that share it: for each stacked expert, the roles fused in it."""
    full = name.pattern.replace("{layer}", str(layer)).replace("{expert}", str(expert))
    dtype = parts[0][0].dtype
    outputs = sum(part.shape[0] for part in parts[0])
    shape = (outputs, *parts[0][0].shape[1:])
    if name.entry.matrix:
        shape = shape[::-1] if name.entry.transposed else shape
        shape = (shape[0], *name.shape[1:]) if name.entry.flat else shape
    elif len(inner := name.shape[1:] if name.entry.stacked_experts else name.shape) > 1:
        shape = (outputs // math.prod(inner[1:]), *inner[1:])
    if name.entry.stacked_experts:
        shape = (len(parts), *shape)

    def compute() -> NDArray[Any]:
        arrays = [[part.read() for part in row] for row in parts]
        with np.errstate(over="ignore"):
            return layout.join(name.entry, arrays, of_layer(model.facts, layer), dtype, full).reshape(shape)

    return TensorPiece(full, dtype, shape, compute)


def _spoken(place: Place) -> str:
    layer, role, expert = place
    return role + (f" of layer {layer}" if layer is not None else "") + (f", expert {expert}" if expert is not None else "")


def _copy_beside(folder: ModelFolder, target: Path) -> None:
    names = sorted(folder.there(BESIDE))
    for name, source in zip(names, folder.sources(names), strict=True):
        if _is_small_file(source):
            with source.open() as original, (target / name).open("wb") as copy:
                shutil.copyfileobj(original, copy)


def _is_small_file(source: ByteSource) -> bool:
    """Whether it is a file of MAX_COPIED bytes at most, and no folder or dangling link."""
    try:
        return source.size <= MAX_COPIED
    except CheckpointError:
        return False
