"""What full and quick measuring share: the work cut into layers, whole traits from their rows, and what is told of a model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from kinprint.architectures import Anatomy, Part
from kinprint.arrays import Array
from kinprint.checkpoints import Checkpoint
from kinprint.errors import FingerprintError
from kinprint.fingerprints.layer import finite


def require_parts(checkpoint: Checkpoint, anatomy: Anatomy) -> None:
    """Raise FingerprintError if there is nothing to measure."""
    if not anatomy.parts:
        raise FingerprintError(checkpoint.source, "no tensor plays a known role", "check that the checkpoint is complete")


def facts(checkpoint: Checkpoint, anatomy: Anatomy) -> dict[str, Any]:
    """What every fingerprint says of its model."""
    return {
        **anatomy.facts,
        "family": anatomy.family,
        "dtypes": {part.role: part.dtype.name for part in anatomy.parts},
        "shapes": shapes(anatomy),
        "parameters": sum(math.prod(part.shape) for part in anatomy.parts),
        "tokens": len(checkpoint.tokenizer),
        "quantization": checkpoint.quantization,
    }


def shapes(anatomy: Anatomy) -> dict[str, list[list[int] | None]]:
    """Of each role of matrices inside the layers, for every layer how many there are and their shape; None where a layer has
    none."""
    by_role: dict[str, list[list[int] | None]] = {}
    for part in anatomy.parts:
        if part.layer is None or len(part.shape) != 2:
            continue
        row = by_role.setdefault(part.role, [None] * int(anatomy.facts["num_hidden_layers"]))
        here = row[part.layer]
        row[part.layer] = [1 if here is None else here[0] + 1, *part.shape]
    return by_role


def provenance(checkpoint: Checkpoint, anatomy: Anatomy, notes: Iterable[str] = ()) -> dict[str, Any]:
    """Where the fingerprint comes from; `notes` say what could not be measured."""
    return {
        "source": str(checkpoint.source),
        **{key: checkpoint.card.get(key) for key in ("base_model", "license", "license_name")},
        "notes": [*anatomy.notes, *notes],
        "read_as": {"family": anatomy.family, "guessed": anatomy.guessed, "why": anatomy.why},
        "unknown_tensors": list(anatomy.unknown[:100]),
        "skipped_tensors": list(anatomy.skipped[:100]),
    }


def vocabulary(checkpoint: Checkpoint) -> dict[str, NDArray[Any]]:
    """tokenizer.sketch, where there is a tokenizer."""
    return {"tokenizer.sketch": _sketch(checkpoint.tokenizer)} if checkpoint.tokenizer else {}


def work(parts: Iterable[Part]) -> list[tuple[int | None, list[Part]]]:
    """What one thread does at a time: a layer, or one part outside the layers, the head with the gain in front of it."""
    pieces: list[tuple[int | None, list[Part]]] = []
    for index, group in groupby(parts, key=lambda part: part.layer):
        if index is not None:
            pieces.append((index, list(group)))
            continue
        for part in group:
            if part.role == "head" and pieces and pieces[-1][1][-1].role == "gains.final":
                pieces[-1][1].append(part)
            else:
                pieces.append((None, [part]))
    return pieces


def assemble(rows_by_layer: Iterable[tuple[int | None, Mapping[str, Array]]], layers: int) -> dict[str, NDArray[Any]]:
    """Whole traits from their rows; those of parts outside the layers are whole already."""
    traits: dict[str, NDArray[Any]] = {}
    by_layer: dict[int, Mapping[str, Array]] = {}
    for layer, rows in rows_by_layer:
        if layer is None:
            traits.update(rows)
        else:
            by_layer[layer] = rows
    for trait in sorted({trait for rows in by_layer.values() for trait in rows}):
        traits[trait] = _stack([by_layer.get(index, {}).get(trait) for index in range(layers)])
    with np.errstate(over="ignore"):
        return {trait: finite(values.astype(np.float32)) for trait, values in traits.items()}


def left_out(rows_by_layer: Iterable[tuple[int | None, Mapping[str, Array]]]) -> list[str]:
    """A note for every group of layers whose rows of some traits have another shape than in most layers, and so are NaN."""
    layers = {layer: rows for layer, rows in rows_by_layer if layer is not None}
    odd: dict[tuple[int, ...], list[str]] = {}
    for trait in sorted({trait for rows in layers.values() for trait in rows}):
        shape = _usual(rows.get(trait) for rows in layers.values())
        others = tuple(layer for layer, rows in sorted(layers.items()) if trait in rows and rows[trait].shape != shape)
        if others:
            odd.setdefault(others, []).append(trait)
    return [
        f"left out, for their shape is not that of most layers: {', '.join(traits)} of layers {', '.join(map(str, others))}"
        for others, traits in odd.items()
    ]


def _usual(rows: Iterable[Array | None]) -> tuple[int, ...]:
    """The most common shape; of equally common ones the first."""
    return Counter(row.shape for row in rows if row is not None).most_common(1)[0][0]


def _stack(rows: list[Array | None]) -> Array:
    """Rows of one shape, the most common one; NaN where a layer has none of it or one of another shape."""
    shape = _usual(rows)
    missing = np.full(shape, np.nan)
    return np.stack([row if row is not None and row.shape == shape else missing for row in rows])


def _sketch(tokenizer: Mapping[str, int], size: int = 512) -> NDArray[np.uint64]:
    """The smallest hashes of the token strings: the overlap of two vocabularies can be estimated from two sketches."""
    hashes = b"".join(blake3(token.encode("utf-8", "surrogatepass")).digest(length=8) for token in tokenizer)
    return np.sort(np.frombuffer(hashes, "<u8"))[:size].astype(np.uint64)
