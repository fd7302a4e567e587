"""The streaming pass: every part of a model is read piece by piece, everything a fingerprint needs is taken from it."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kinprint.architectures import Anatomy, Part
from kinprint.checkpoints import Checkpoint
from kinprint.errors import FingerprintError
from kinprint.fingerprints import families
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.layer import Array, Layer, finite, scan

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

MOST_THREADS = 8
"""By default. Each needs some 100 MiB, and a few of them read as fast as memory allows."""


class Found(NamedTuple):
    """What is kept of a layer (or of one part outside the layers): small, whatever the layer's size."""

    layer: int | None
    rows: dict[str, Array]
    digests: list[tuple[Part, bytes]]
    non_finite: dict[str, int]
    notes: list[str]


def measure(
    checkpoint: Checkpoint, anatomy: Anatomy, *, threads: int | None = None, progress: Progress | None = None
) -> Fingerprint:
    """Measure every trait of a checkpoint in one streaming pass.

    The result does not depend on `threads`, on sharding or on the file format. Mapped tensors cost each thread some
    100 MiB at most, whatever their size; a tensor that has to be decoded is in memory while its layer is measured.

    Raises:
        CheckpointError: a tensor cannot be read.
        FingerprintError: nothing could be measured.
    """
    if not anatomy.parts:
        raise FingerprintError(checkpoint.source, "no tensor plays a known role", "check that the checkpoint is complete")
    total = sum(math.prod(part.shape) * part.dtype.itemsize for part in anatomy.parts)
    done, lock = 0, Lock()

    def tell(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if progress:
                progress(done, total)

    def run(work: tuple[int | None, list[Part]]) -> Found:
        index, parts = work
        layer = Layer(index, anatomy.facts, [scan(part, tell) for part in parts])
        rows = families.rows(layer)
        counts = {name(item.part): int(item.sums.totals[7]) for item in layer.scans if item.sums.totals[7]}
        return Found(index, rows, [(item.part, item.digest) for item in layer.scans], counts, layer.notes)

    threads = threads or min(os.cpu_count() or 1, MOST_THREADS)
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(run, _work(anatomy.parts)))
    digests = [pair for item in found for pair in item.digests]
    traits = _assemble(found, int(anatomy.facts["num_hidden_layers"]))
    traits["digests"] = np.frombuffer(b"".join(digest for _, digest in digests), np.uint8).reshape(-1, 32)
    if checkpoint.tokenizer:
        traits["tokenizer.sketch"] = _sketch(checkpoint.tokenizer)
    facts = {
        **anatomy.facts,
        "family": anatomy.family,
        "dtypes": {part.role: part.dtype.name for part in anatomy.parts},
        "parameters": sum(math.prod(part.shape) for part in anatomy.parts),
        "digest_parts": [name(part) for part, _ in digests],
        "non_finite": {part: count for item in found for part, count in item.non_finite.items()},
        "tokens": len(checkpoint.tokenizer),
        "quantization": checkpoint.quantization,
    }
    provenance = {
        "source": str(checkpoint.source),
        "base_model": checkpoint.card.get("base_model"),
        "notes": [*anatomy.notes, *(note for item in found for note in item.notes)],
        "unknown_tensors": list(anatomy.unknown[:100]),
    }
    return Fingerprint(checkpoint.name, traits, facts, provenance)


def name(part: Part) -> str:
    """What a part is called in the facts: layer, role, expert, without those that do not apply."""
    return ".".join(str(piece) for piece in (part.layer, part.role, part.expert) if piece is not None)


def _work(parts: Iterable[Part]) -> list[tuple[int | None, list[Part]]]:
    """What one thread does at a time: a layer, or one part outside the layers."""
    layers = [(index, list(group)) for index, group in groupby(parts, key=lambda part: part.layer)]
    return [
        (index, piece) for index, group in layers for piece in ([group] if index is not None else [[part] for part in group])
    ]


def _assemble(found: list[Found], layers: int) -> dict[str, NDArray[Any]]:
    """Whole traits from their rows; those of parts outside the layers are whole already."""
    traits: dict[str, NDArray[Any]] = {}
    by_layer = {item.layer: item.rows for item in found if item.layer is not None}
    for trait in sorted({trait for rows in by_layer.values() for trait in rows}):
        traits[trait] = _stack([by_layer.get(index, {}).get(trait) for index in range(layers)])
    for item in found:
        if item.layer is None:
            traits.update(item.rows)
    with np.errstate(over="ignore"):
        return {trait: finite(values.astype(np.float32)) for trait, values in traits.items()}


def _stack(rows: list[Array | None]) -> Array:
    """Rows of one shape, the most common one; NaN where a layer has none of it or one of another shape."""
    shape = Counter(row.shape for row in rows if row is not None).most_common(1)[0][0]
    missing = np.full(shape, np.nan)
    return np.stack([row if row is not None and row.shape == shape else missing for row in rows])


def _sketch(tokenizer: Mapping[str, int], size: int = 512) -> NDArray[np.uint64]:
    """The smallest hashes of the token strings: the overlap of two vocabularies can be estimated from two sketches."""
    hashes = (int.from_bytes(blake3(token.encode("utf-8", "surrogatepass")).digest(length=8), "little") for token in tokenizer)
    return np.array(sorted(hashes)[:size], dtype=np.uint64)
