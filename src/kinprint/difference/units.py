"""Which unit of one matrix is which of another whose units lie in another order: rows that point the same way.

Only copies that were trained on for a while are found so, and only where the other axis is in order: enough to look through a
relabelling. What hides more is for `compare --deep`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kinprint.arrays import Float32s, Float64s, Int64s

WIDTH = 256
"""Random directions that rows are compared in first."""

BLOCK = 1024
"""Rows compared at a time."""

MATCHED = 0.3
"""Cosine of a row and its partner from which they count as one unit."""

MOST = 0.8
"""Share of the rows that must have a partner."""


def matched(reference: Float32s, suspect: Float32s) -> Int64s | None:
    """The reference's row of each of the suspect's rows; None where fewer than `MOST` of the smaller side have a partner.

    Args:
        reference, suspect: (units, features), features in one order.
    """
    ours, theirs = (_projected(rows) for rows in (reference, suspect))
    found = np.concatenate([np.argmax(theirs[at : at + BLOCK] @ ours.T, axis=1) for at in range(0, len(theirs), BLOCK)])
    blocks = (slice(at, at + BLOCK) for at in range(0, len(suspect), BLOCK))
    close = np.concatenate([cosines(reference[found[block]], suspect[block]) for block in blocks]) >= MATCHED
    partners = len(np.unique(found[close]))
    enough = partners >= MOST * min(len(reference), len(suspect)) and np.mean(close) >= MOST
    return found.astype(np.int64) if enough else None


def cosines(ours: Float32s, theirs: Float32s) -> Float64s:
    """Of each row with the same row; 0 where one is nothing but zeros."""
    inner = np.einsum("ij,ij->i", ours, theirs, dtype=np.float64)
    sizes = np.sqrt(
        np.einsum("ij,ij->i", ours, ours, dtype=np.float64) * np.einsum("ij,ij->i", theirs, theirs, dtype=np.float64)
    )
    return np.asarray(np.divide(inner, sizes, out=np.zeros(len(inner)), where=sizes > 0))


def cosine(ours: Float32s, theirs: Float32s) -> float:
    """Of all entries together."""
    return float(cosines(ours.reshape(1, -1), theirs.reshape(1, -1))[0]) if ours.size else 0.0


def _projected(rows: Float32s) -> Float32s:
    some = rows if rows.shape[1] <= WIDTH else rows @ _directions(rows.shape[1])
    return np.asarray(some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), np.float32(1e-30)))


@lru_cache(maxsize=8)
def _directions(features: int) -> Float32s:
    return np.random.default_rng([features, WIDTH]).standard_normal((features, WIDTH), np.float32)
