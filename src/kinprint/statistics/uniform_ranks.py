"""Are numbers between 0 and 1 uniform? The test of Cramér and von Mises, with p-values that go on where draws end.

Null hypothesis: the numbers are independent and uniform. `rank_among` makes such a number of one value among others that are
drawn from the same distribution, exactly so, whatever the distribution: ties are broken by chance.

Source: Auditing black-box LLM APIs with a rank-based uniformity test, arXiv 2506.06975, sections 3 and 4 (one answer of the
model that is asked, ranked among answers of the reference by a score of the reference).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import smirnov

from kinprint.arrays import Float64s
from kinprint.statistics import tails
from kinprint.statistics.relabelling import SEED

BINS = 64
"""Tilted densities are constant on so many parts of the interval, so that their values are exact."""

SHAPES = tuple((sign, waves) for waves in (1, 2) for sign in (1, -1))
"""What densities are tilted by, sign cos(pi waves u): ranks that are low or high, at the ends or in the middle."""


def rank_among(value: float, others: Float64s, rng: np.random.Generator) -> float:
    """Where one value stands among others, between 0 and 1; uniform if all are exchangeable."""
    below, ties = int(np.sum(others < value)), int(np.sum(others == value))
    return float((below + rng.random() * (ties + 1)) / (len(others) + 1))


def cramer_von_mises(values: Float64s) -> float:
    """n times the integral of the squared difference between the distribution of (..., n) values and the uniform one."""
    return float(_statistic(np.asarray(values, dtype=np.float64)[None])[0])


def uniform_test(values: Float64s) -> tuple[float, float]:
    """The statistic of Cramér and von Mises of (n,) values, and its log10 p."""
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if not n:
        return math.nan, 0.0
    observed = cramer_von_mises(values)
    least = observed * (1 - 1e-9)
    rng = np.random.default_rng(SEED)
    exceeding = int(np.sum(_statistic(rng.random((tails.DRAWS, n))) >= least))

    def log10_bound() -> float:
        """The integral is at most the largest squared difference, whose tail is exact and one-sided twice."""
        p = 2 * float(smirnov(n, min(math.sqrt(least / n), 1.0)))
        return min(math.log10(p), 0.0) if p > 0 else -300.0

    def log_weights() -> tuple[float, Float64s]:
        densities = np.array([_density(sign, waves, rate * math.log(10) / n) for rate in tails.RATES for sign, waves in SHAPES])
        which = rng.integers(len(densities), size=tails.TILTED)
        bins = np.stack([rng.choice(BINS, size=n, p=densities[one]) for one in which])
        drawn = (bins + rng.random(bins.shape)) / BINS
        every = np.vstack([values[None], drawn])
        logs = np.log(densities * BINS)[:, np.minimum((every * BINS).astype(int), BINS - 1)].sum(axis=2)  # (shapes, 1 + draws)
        weights = -(np.logaddexp.reduce(logs, axis=0) - math.log(len(densities)))
        return float(weights[0]), np.where(_statistic(every) >= least, weights, -np.inf)[1:]

    return observed, tails.p_value(exceeding, log10_bound, log_weights).log10_p


def _statistic(rows: Float64s) -> Float64s:
    """(rows,) statistic of each of (rows, n) values."""
    n = rows.shape[1]
    middle = (2 * np.arange(1, n + 1) - 1) / (2 * n)
    return np.asarray(((np.sort(rows, axis=1) - middle) ** 2).sum(axis=1) + 1 / (12 * n))


def _density(sign: int, waves: int, information: float) -> Float64s:
    """(BINS,) probabilities, tilted so that one value carries so many nats of information against the uniform distribution."""
    shape = sign * np.cos(math.pi * waves * (np.arange(BINS) + 0.5) / BINS)

    def tilted(t: float) -> Float64s:
        weights = np.exp(t * (shape - 1))
        return np.asarray(weights / weights.sum())

    def surplus(t: float) -> float:
        p = tilted(t)
        return float(p @ np.log(p * BINS)) - information

    return tilted(float(brentq(surplus, 0.0, 50.0)) if surplus(50.0) > 0 else 50.0)
