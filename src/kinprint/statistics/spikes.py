"""What stands out of the random entries that a matrix started from, and how much of it another matrix has.

A matrix whose entries are independent and of one size has singular values inside the Marchenko-Pastur law. Training adds
directions that stand above its edge. Each value s above it is the sum of what was added, eta, and of noise that leans the same
way, s - eta; eta follows from s (Benaych-Georges and Nadakuditi, 2012; Gavish and Donoho, *Optimal Shrinkage of Singular
Values*, 2017). Both parts are then looked for in the same matrix of another model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from kinprint.arrays import Float64s

MARGIN = 1.03
"""How far above the edge a singular value of a small matrix has to be."""

COMMON = 0.1
"""Slope inside the law from which two matrices are taken to have entries in common: a stranger's is 0 up to 0.02 in matrices of
48 x 96."""


@dataclass(frozen=True)
class Spikes:
    """A matrix (m, n), split at the edge of the Marchenko-Pastur law.

    Attributes:
        noise: standard deviation of the entries that it started from.
        u, v: (m, k), (n, k) singular vectors, all of them.
        values: (k,) singular values, descending.
        added: (k,) of each what stands out of the noise; 0 inside the law.
    """

    noise: float
    u: Float64s
    v: Float64s
    values: Float64s
    added: Float64s

    @classmethod
    def of(cls, matrix: Float64s) -> Spikes:
        """Split a matrix of finite entries, not all zero."""
        m, n = sorted(matrix.shape)
        u, values, vt = np.linalg.svd(matrix, full_matrices=False)
        kept = values > values[0] * 1e-9
        u, values, v = u[:, kept], values[kept], vt[kept].T
        noise = float(np.median(values) / (_median(round(m / n, 3)) * np.sqrt(n)))
        return cls(noise, u, v, values, _added(values / (noise * np.sqrt(n)), m / n) * noise * np.sqrt(n))


@dataclass(frozen=True)
class Kept:
    """How much of one model another has, over several matrices.

    Attributes:
        bulk: slope of the other's matrices on what lies inside the law: how much of the start is kept. Each matrix in units of
            its own noise.
        added: (spikes,) slope on each direction that training added, over the slope inside the law of the same matrix: 1 is
            kept as much as the start is, 0 not at all.
    """

    bulk: float
    added: Float64s

    def of_most(self, share: float) -> float:
        """What this share of all directions is kept by, or more; NaN where there are none."""
        return float(np.quantile(self.added, 1 - share)) if len(self.added) else np.nan


def kept(pairs: Iterable[tuple[Spikes, Spikes]]) -> tuple[Kept, Kept] | None:
    """How much of the first of each two matrices the second has, and of the second the first: matrices of one shape, units in
    one order. None where no two have anything in common inside the law."""
    both = [(_kept(a, b), _kept(b, a)) for a, b in pairs]
    common = [each for each in both if min(side.slope for side in each) >= COMMON]
    return (_together([each[0] for each in common]), _together([each[1] for each in common])) if common else None


@dataclass(frozen=True)
class _Matrix:
    """Of one matrix: its energy inside the law, in units of noise; the other's slope on it there; the slopes on what was added,
    over that one."""

    inside: float
    slope: float
    added: Float64s


def _kept(ours: Spikes, theirs: Spikes) -> _Matrix:
    """Of u' B v, what the noise in a direction explains is the slope inside the law times s - eta."""
    left, right = ours.u.T @ theirs.u, theirs.v.T @ ours.v
    seen = np.einsum("kj,j,jk->k", left, theirs.values, right, optimize=True)
    out = ours.added > 0
    inside = float((ours.values[~out] ** 2).sum())
    slope = float(seen[~out] @ ours.values[~out]) / inside
    values, added = ours.values[out], ours.added[out]
    slopes = (seen[out] - slope * (values - added)) / added
    return _Matrix(inside / ours.noise**2, slope, slopes / slope if slope > 0 else np.zeros(0))


def _together(found: list[_Matrix]) -> Kept:
    inside = [each.inside for each in found]
    bulk = float(np.average([each.slope for each in found], weights=inside))
    return Kept(bulk, np.concatenate([each.added for each in found]))


def _added(y: Float64s, ratio: float) -> Float64s:
    """What stands out of singular values y in units of noise: shrinkage for the Frobenius norm; 0 up to the edge."""
    out = y > MARGIN * (1 + np.sqrt(ratio))
    square = np.where(out, y, 2.0) ** 2
    return np.where(out, np.sqrt(np.maximum((square - ratio - 1) ** 2 - 4 * ratio, 0)) / np.sqrt(square), 0.0)


@cache
def _median(ratio: float) -> float:
    """The median singular value of a large random matrix with sides of this ratio (at most 1), entries of variance 1 / n."""
    angle = (np.arange(4096) + 0.5) * np.pi / 4096
    square = 1 + ratio - 2 * np.sqrt(ratio) * np.cos(angle)
    share = np.cumsum(np.sin(angle) ** 2 / square)
    return float(np.sqrt(np.interp(0.5 * share[-1], share, square)))
