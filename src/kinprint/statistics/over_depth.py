"""Layers compared over depth: two curves with a value a layer, and vectors of every layer with those of every other."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s


def correlation(a: Float64s, b: Float64s) -> float | None:
    """Pearson correlation of two curves over depth, the shorter interpolated linearly; None if one of them is flat."""
    length = max(len(a), len(b))
    a, b = (np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(curve)), curve) for curve in (a, b))
    if min(a.std() / (abs(a).max() or 1), b.std() / (abs(b).max() or 1)) < 1e-9:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def cosines(a: Float64s, b: Float64s, *, centred: bool) -> Float64s:
    """(layers of a, layers of b) cosine of every pair of rows; centred, it is Pearson's correlation. NaN for zero rows."""
    if centred:
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (a, b))
        return np.asarray(a @ b.T)
