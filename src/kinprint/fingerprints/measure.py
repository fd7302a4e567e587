"""The streaming pass: every part of a model is read once, everything a fingerprint needs is taken from it."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kinprint.architectures import Anatomy, Part
from kinprint.checkpoints import Checkpoint
from kinprint.errors import FingerprintError
from kinprint.fingerprints import neurons, samples, spectra
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.kernels import moments, sums
from kinprint.fingerprints.traits import MATRIX_ROLES

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

PIECE = 1 << 21
"""Entries handled at a time: a piece stays in the processor's cache from the kernel to the digest."""

SAMPLED = 256
SAMPLED_EMBEDDING = 1024
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
READS_ROWS = ("o", "down")
"""Matrices that write into the residual stream: their channels are rows."""


@dataclass
class Measured:
    """What one part gives.

    `totals`, `row_squares`, `column_squares` are those of `kernels.sums` over the whole part.
    """

    part: Part
    digest: bytes
    totals: Array
    row_squares: Array
    column_squares: Array
    column_sums: Array | None
    sample: Array
    vector: Array | None


def measure(
    checkpoint: Checkpoint, anatomy: Anatomy, *, threads: int | None = None, progress: Progress | None = None
) -> Fingerprint:
    """Measure every trait of a checkpoint in one streaming pass.

    The result does not depend on `threads`, on sharding or on the file format. At most `threads` layers are in memory,
    and of each no more than one matrix and some pieces.

    Raises:
        CheckpointError: a tensor cannot be read.
        FingerprintError: nothing could be measured.
    """
    work = [list(parts) for _, parts in groupby(anatomy.parts, key=lambda part: part.layer)]
    total = sum(_bytes(part) for part in anatomy.parts)
    done, lock = 0, Lock()

    def tell(part: Part) -> None:
        nonlocal done
        with lock:
            done += _bytes(part)
            if progress:
                progress(done, total)

    def run(parts: list[Part]) -> tuple[list[Measured], dict[str, Array]]:
        return [_measure_part(part, tell) for part in parts], _joint(parts, anatomy.facts)

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        results = list(pool.map(run, work))
    layers = int(anatomy.facts["num_hidden_layers"])
    found = [item for items, _ in results for item in items]
    traits = _assemble(found, layers)
    for name in {key for _, joint in results for key in joint}:
        traits[name] = _stack([joint.get(name) for _, joint in results[:layers]])
    traits["digests"] = np.frombuffer(b"".join(item.digest for item in found), np.uint8).reshape(-1, 32)
    if checkpoint.tokenizer:
        traits["tokenizer.sketch"] = _sketch(checkpoint.tokenizer)
    facts = {
        **anatomy.facts,
        "family": anatomy.family,
        "dtypes": {item.part.role: item.part.dtype.name for item in found},
        "parameters": sum(math.prod(item.part.shape) for item in found),
        "digest_parts": [_name(item.part) for item in found],
        "non_finite": {_name(item.part): int(item.totals[7]) for item in found if item.totals[7]},
        "tokens": len(checkpoint.tokenizer),
    }
    provenance = {
        "source": str(checkpoint.source),
        "base_model": checkpoint.card.get("base_model"),
        "notes": list(anatomy.notes),
        "unknown_tensors": list(anatomy.unknown[:100]),
    }
    single = {name: np.asarray(value, np.float32) if value.dtype == np.float64 else value for name, value in traits.items()}
    return Fingerprint(checkpoint.name, single, facts, provenance)


def _bytes(part: Part) -> int:
    return math.prod(part.shape) * part.dtype.itemsize


def _name(part: Part) -> str:
    return ".".join(str(piece) for piece in (part.layer, part.role, part.expert) if piece is not None)


def _measure_part(part: Part, tell: Callable[[Part], None]) -> Measured:
    array = part.read()
    digest = blake3(f"{array.dtype.name} {array.shape}\n".encode())
    matrix = array.reshape(1, -1) if array.ndim == 1 else array
    step = max(PIECE // max(matrix.shape[1], 1), 1)
    totals, columns, rows = np.zeros(8), np.zeros(matrix.shape[1]), []
    column_sums = np.zeros(matrix.shape[1]) if part.role in ("embedding", "head") else None
    for start in range(0, len(matrix), step):
        piece = np.ascontiguousarray(matrix[start : start + step])
        digest.update(memoryview(piece.view(np.uint8)).cast("B"))  # type: ignore[arg-type]
        more, row_squares, column_squares = sums(piece)
        largest = max(totals[5], more[5])
        totals += more
        totals[5] = largest
        columns += column_squares
        rows.append(row_squares)
        if column_sums is not None:
            column_sums += np.nan_to_num(piece.astype(np.float32), posinf=0, neginf=0).sum(axis=0, dtype=np.float64)
    count = SAMPLED if part.layer is not None else SAMPLED_EMBEDDING
    where = samples.positions(part.role, tuple(part.shape), count)
    sample = array[np.unravel_index(where, array.shape)].astype(np.float64) if array.ndim == 2 else np.zeros(0)
    vector = array.astype(np.float64) if array.ndim == 1 else None
    tell(part)
    return Measured(part, digest.digest(), totals, np.concatenate(rows or [np.zeros(0)]), columns, column_sums, sample, vector)


def _joint(parts: list[Part], facts: Mapping[str, Any]) -> dict[str, Array]:
    """Traits that need several parts of one layer together: head spectra, neurons."""
    if not parts or parts[0].layer is None:
        return {}
    first = {part.role: part for part in reversed(parts)}  # of experts, the first
    found = neurons.measure(first)
    heads, groups = facts.get("num_attention_heads"), facts.get("num_key_value_heads")
    if heads and groups and heads % groups == 0 and {"q", "k", "v", "o"} <= first.keys():
        q, o = spectra.grams(first["q"].read(), heads), spectra.grams(first["o"].read().T, heads)
        k, v = (spectra.grams(first[role].read(), groups) for role in ("k", "v"))
        if all(np.isfinite(gram).all() for gram in (q, k)):
            found["heads.qk_spectrum"] = spectra.product_spectra(q, k)
        if all(np.isfinite(gram).all() for gram in (v, o)):
            found["heads.vo_spectrum"] = spectra.product_spectra(o, v)
    return found


def _assemble(found: list[Measured], layers: int) -> dict[str, NDArray[Any]]:
    """Traits that each part gives by itself, experts of a layer pooled."""
    by_place: dict[tuple[int | None, str], list[Measured]] = defaultdict(list)
    for item in found:
        by_place[item.part.layer, item.part.role].append(item)
    roles = dict.fromkeys(item.part.role for item in found)
    traits: dict[str, NDArray[Any]] = {}
    for role in roles:
        rows = [by_place.get((layer, role)) for layer in range(layers)]
        outside = by_place.get((None, role))
        if role in MATRIX_ROLES:
            traits[f"moments.{role}"] = _stack([_pooled_moments(row) for row in rows])
            traits[f"channels.{role}"] = _stack([_channels(row) for row in rows])
            traits[f"sample.{role}"] = _stack([_pooled_sample(row) for row in rows])
        elif role in ("embedding", "head") and outside:
            item = outside[0]
            traits[f"moments.{role}"] = moments(item.totals)[None]
            traits[f"sample.{role}"] = item.sample[None]
            side = "input" if role == "embedding" else "output"
            assert item.column_sums is not None
            squares = item.column_squares - item.column_sums**2 / max(len(item.row_squares), 1)
            traits[f"embedding.{side}"] = np.sqrt(np.maximum(squares, 0.0))
        elif role.startswith(("gains.", "biases.", "norm_biases.")):
            if outside:
                traits[role] = _finite(outside[0].vector)
            else:
                traits[role] = _stack([None if row is None else _finite(row[0].vector) for row in rows])
    if any(item.part.expert is not None for item in found):
        traits.update(_experts(by_place, layers))
    return traits


def _finite(vector: Array | None) -> Array:
    assert vector is not None
    return np.where(np.isfinite(vector), vector, np.nan)


def _pooled_moments(items: list[Measured] | None) -> Array | None:
    if items is None:
        return None
    totals = np.sum([item.totals for item in items], axis=0)
    totals[5] = max(item.totals[5] for item in items)
    return moments(totals)


def _channels(items: list[Measured] | None) -> Array | None:
    if items is None:
        return None
    rows = items[0].part.role in READS_ROWS
    return np.asarray(np.sqrt(np.sum([item.row_squares if rows else item.column_squares for item in items], axis=0)))


def _pooled_sample(items: list[Measured] | None) -> Array | None:
    """Of experts, an equal share of the positions each, in the order of the experts."""
    if items is None:
        return None
    picks = np.arange(SAMPLED) % len(items)
    sample = np.stack([item.sample for item in items])[picks, np.arange(SAMPLED)]
    return np.where(np.isfinite(sample), sample, np.nan)


def _experts(by_place: Mapping[tuple[int | None, str], list[Measured]], layers: int) -> dict[str, Array]:
    """`experts.*` of every layer that has a router; the others are NaN."""
    rows: dict[str, list[Array | None]] = {"experts.norms": [], "experts.moments": [], "experts.profile": []}
    for layer in range(layers):
        router = by_place.get((layer, "router"))
        parts = [by_place.get((layer, role)) for role in ("gate", "up", "down")]
        if not router or any(items is None or items[0].part.expert is None for items in parts):
            for column in rows.values():
                column.append(None)
            continue
        known = [items for items in parts if items]
        columns = [[np.sqrt(router[0].row_squares)], [], []]
        for items in known:
            norms = np.sqrt([item.totals[2] for item in items])
            shape = np.stack([moments(item.totals) for item in items])
            units = [np.sqrt(i.column_squares if i.part.role in READS_ROWS else i.row_squares) for i in items]
            columns[0].append(norms)
            columns[1] += [shape[:, 1], shape[:, 3]]
            columns[2] += list(np.stack([np.quantile(u, QUANTILES) for u in units]).T)
        for name, values in zip(rows, columns, strict=True):
            rows[name].append(np.stack(values, axis=-1))
    return {name: _stack(values) for name, values in rows.items()}


def _stack(rows: Iterable[Array | None]) -> Array:
    """Rows of one shape, the most common one; NaN where a layer has none of it or one of another shape."""
    rows = list(rows)
    shapes = Counter(row.shape for row in rows if row is not None)
    if not shapes:
        raise FingerprintError("model", "no layer could be measured", "check that the checkpoint is complete")
    shape = shapes.most_common(1)[0][0]
    missing = np.full(shape, np.nan)
    return np.stack([row if row is not None and row.shape == shape else missing for row in rows])


def _sketch(tokenizer: Mapping[str, int], size: int = 512) -> NDArray[np.uint64]:
    """The smallest hashes of the token strings: the overlap of two vocabularies can be estimated from two sketches."""
    hashes = (int.from_bytes(blake3(token.encode("utf-8", "surrogatepass")).digest(length=8), "little") for token in tokenizer)
    return np.array(sorted(hashes)[:size], dtype=np.uint64)
