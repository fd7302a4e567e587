"""The sign test: do numbers that are as likely negative as positive add up to more than random signs would?

Null hypothesis: given their magnitudes, the signs of the numbers are independent and uniformly random. Statistic: their sum.
Nothing else is assumed of the magnitudes, which may depend on each other in any way and have any tails.

p-value: Monte Carlo over signs, importance sampling from tilted signs, and Chernoff's bound with the exact moment generating
function, E[exp(t sum)] = prod cosh(t |x_i|), joined by `tails` (Hoeffding, Probability inequalities for sums of bounded random
variables, 1963).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from kinprint.arrays import Float64s
from kinprint.statistics import tails
from kinprint.statistics.relabelling import SEED

AT_ONCE = 1 << 22
"""Random signs that are drawn for so many draws side by side: p-values depend on it."""

IN_CACHE = 1 << 15
"""Of these, held at a time."""


@dataclass(frozen=True)
class SignTestResult:
    """What `sign_test` found.

    Attributes:
        z: the sum in standard deviations under the null.
        log10_p: one-sided p-value.
        bound: True if log10_p is a rigorous upper bound, False if it is a Monte Carlo p-value.
    """

    z: float
    log10_p: float
    bound: bool


def sign_test(values: NDArray[np.floating]) -> SignTestResult:
    """Test numbers against random signs.

    Args:
        values: (n,) float; zeros count for nothing.
    """
    x, total, spread = _scaled(values)
    if not len(x):
        return SignTestResult(0.0, 0.0, bound=False)
    sizes, least = np.abs(x), total - 1e-9 * spread
    rng = np.random.default_rng(SEED)
    exceeding = int(np.sum(_drawn(sizes, np.full_like(x, 0.5), tails.DRAWS, rng) >= least))

    def log_weights() -> tuple[float, Float64s]:
        thetas = [_tilt(sizes, rate) for rate in tails.RATES]
        totals = [_drawn(sizes, expit(2 * t * sizes), count, rng) for t, count in zip(thetas, tails.shares(SEED), strict=True)]
        every = np.concatenate([[total], *totals])
        ratios = [t * every - _log_moment(t, sizes) for t in thetas]
        weights = -(np.logaddexp.reduce(np.array(ratios), axis=0) - math.log(len(ratios)))
        return float(weights[0]), np.where(every >= least, weights, -np.inf)[1:]

    tail = tails.p_value(exceeding, lambda: _log_bound(sizes, total) / math.log(10), log_weights)
    return SignTestResult(total / spread, tail.log10_p, tail.bound)


def sign_z(values: NDArray[np.floating]) -> float:
    """The statistic of `sign_test` alone, without a p-value."""
    x, total, spread = _scaled(values)
    return total / spread if len(x) else 0.0


def _scaled(values: NDArray[np.floating]) -> tuple[Float64s, float, float]:
    """Numbers but for zeros, over the largest of them; their sum, and its standard deviation under the null hypothesis."""
    x = np.asarray(values, dtype=np.float64)
    size = float(np.abs(x).max(initial=0.0))
    if not size:
        return np.zeros(0), 0.0, 0.0
    x = x[x != 0] / size
    return x, float(x.sum()), math.sqrt(float(x @ x))


def _drawn(sizes: Float64s, positive: Float64s, draws: int, rng: np.random.Generator) -> Float64s:
    """(draws,) sums of numbers that are positive with the probabilities given."""
    totals = np.full(draws, -sizes.sum())
    step = max(AT_ONCE // draws, 1)
    for start in range(0, len(sizes), step):
        size, probability = 2 * sizes[start : start + step], positive[start : start + step]
        rows = min(max(IN_CACHE // len(size), 1), draws)
        numbers, signs = np.empty((rows, len(size)), np.float32), np.empty((rows, len(size)))
        for first in range(0, draws, rows):
            here = min(rows, draws - first)
            rng.random(dtype=np.float32, out=numbers[:here])
            np.less(numbers[:here], probability, out=signs[:here])
            totals[first : first + here] += signs[:here] @ size
    return totals


def _log_moment(t: float, sizes: Float64s) -> float:
    """log E[exp(t sum)] under random signs."""
    return float(np.sum(np.logaddexp(t * sizes, -t * sizes) - math.log(2)))


def _tilt(sizes: Float64s, rate: float) -> float:
    """The t at whose tilted mean Chernoff's bound is 10^-rate, or a large one where no sum is so unlikely."""

    def reached(log_t: float) -> float:
        t = math.exp(log_t)
        return float(np.sum(t * sizes * np.tanh(t * sizes))) - _log_moment(t, sizes) - rate * math.log(10)

    low, high = -10.0 - math.log(float(sizes.sum())), 6.0
    return math.exp(brentq(reached, low, high, xtol=0.05)) if reached(high) > 0 else math.exp(high)


def _log_bound(sizes: Float64s, total: float) -> float:
    """min over t of log E[exp(t sum)] - t total, an upper bound of log P(sum >= total) for any t."""
    if total <= 0:
        return 0.0
    guess = math.log(total / float(sizes @ sizes))
    lowest = minimize_scalar(
        lambda log_t: _log_moment(math.exp(log_t), sizes) - math.exp(log_t) * total,
        bounds=(guess - 3, guess + 8),
        method="bounded",
    )
    return min(float(lowest.fun), 0.0)
