"""Tests of matrices whose entries are said to be independent draws from one distribution, as an initialiser makes them.

`ratios` looks at single entries, `concordance` at units, `largest_singular_value` at directions. None of them needs to know the
size of the entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr
from scipy.stats import beta, gamma, kstwo

from kinprint.arrays import Float64s

LOWEST = -300.0
"""log10 of the smallest p-value that is told apart from 0."""

GRID = 4001
"""Points at which a distribution of ratios is worked out."""

TRUNCATED = (2.0, 3.0)
"""Where initialisers cut the normal distribution, in standard deviations."""


def ratios(entries: Float64s) -> Float64s:
    """(n // 2,) of each two entries that stand side by side, the smaller size over the larger: free of their scale.

    Args:
        entries: (n,) independent entries of one matrix; zeros, which are no draws, are left out.
    """
    sizes = np.abs(entries[entries != 0])
    pairs = sizes[: len(sizes) // 2 * 2].reshape(-1, 2)
    return np.asarray(pairs.min(axis=1) / pairs.max(axis=1))


def ratio_p(values: Float64s, family: str) -> float:
    """log10 p of Kolmogorov's and Smirnov's two-sided test that ratios are those of a family of initialisers. Exact: H0 is that
    each two entries are independent draws of one distribution of the family, of whatever size.

    Args:
        values: (n,) of `ratios`.
        family: a key of `FAMILIES`.
    """
    ordered, count = np.sort(values), len(values)
    if not count:
        return 0.0
    expected = FAMILIES[family](ordered)
    above = np.arange(1, count + 1) / count - expected
    below = expected - np.arange(count) / count
    return _log10(float(kstwo.sf(max(above.max(), below.max()), count)))


def _truncated(limit: float) -> Callable[[Float64s], Float64s]:
    """P(smaller / larger <= r) = 2 int f(y) F(r y) dy, of sizes with density f and distribution F."""
    y = (np.arange(GRID) + 0.5) * limit / GRID
    density = np.exp(-(y**2) / 2)
    density /= density.sum()
    r = np.linspace(0.0, 1.0, 201)
    below = 2 * (np.outer(r, y) < limit) * (2 * ndtr(np.outer(r, y)) - 1) / (2 * ndtr(limit) - 1)
    table = below @ density
    return lambda ratio: np.interp(ratio, r, table / table[-1])


FAMILIES: dict[str, Callable[[Float64s], Float64s]] = {
    "normal": lambda r: 4 / math.pi * np.arctan(r),
    "uniform": lambda r: np.asarray(r),
    **{f"normal cut at {limit:g} deviations": _truncated(limit) for limit in TRUNCATED},
}
"""Initialiser -> distribution of `ratios` of its draws around zero."""


def concordance(blocks: Float64s) -> float:
    """log10 p of Kendall's coefficient of concordance, one-sided: do several measurements rank units alike?

    H0: the ranks of the units are independent from measurement to measurement, and each order is as likely. Beta approximation
    with matched moments (Kendall and Babington Smith, *The problem of m rankings*, Annals of Mathematical Statistics 1939).

    Args:
        blocks: (measurements, units) of at least 2 and 3, without NaN.
    """
    count, units = blocks.shape
    ranks = blocks.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") + 1.0
    sums = ranks.sum(axis=0)
    agreement = 12 * float(((sums - sums.mean()) ** 2).sum()) / (count**2 * (units**3 - units))
    first = (units - 1) - 2 / count
    return _log10(float(beta.sf(agreement, first / 2, (count - 1) * first / 2)))


def largest_singular_value(matrix: Float64s) -> tuple[float, float]:
    """The largest singular value over the edge of the Marchenko-Pastur law, and its log10 p.

    H0: independent entries around zero of one variance, with light tails. The square is then close to the Tracy-Widom law of
    order 1 (Johnstone, Annals of Statistics 2001; centred as Ma, Bernoulli 2012), whose tail is that of a gamma distribution to
    three digits (Chiani, *Distribution of the largest eigenvalue for real Wishart and Gaussian random matrices*, 2014).

    Args:
        matrix: (m, n) of finite entries, not all zero.
    """
    m, n = (math.sqrt(side - 0.5) for side in matrix.shape)
    square = float(np.mean(matrix**2))
    largest = float(np.linalg.svd(matrix, compute_uv=False)[0]) ** 2 / square
    spread = (m + n) * (1 / m + 1 / n) ** (1 / 3)
    scaled = (largest - (m + n) ** 2) / spread
    return math.sqrt(largest) / (m + n), _log10(float(gamma.sf(scaled + 9.84801, 46.446, scale=0.186054)))


def _log10(p: float) -> float:
    return max(math.log10(p), LOWEST) if p > 0 else LOWEST
