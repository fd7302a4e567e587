"""The sign test: do numbers that are as likely negative as positive add up to more than random signs would?

Null hypothesis: given their magnitudes, the signs of the numbers are independent and uniformly random. Statistic: their sum.
Nothing else is assumed of the magnitudes, which may depend on each other in any way and have any tails.

p-value: by Monte Carlo over signs, with the +1 correction, as far as that reaches; beyond, Chernoff's bound with the exact
moment generating function, E[exp(t sum)] = prod cosh(t |x_i|), which is rigorous (Hoeffding, Probability inequalities for
sums of bounded random variables, 1963). Both are taken as in `exchangeability`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from kinprint.statistics.exchangeability import BOUND_FROM, DRAWS, SEED

Array = NDArray[np.float64]

AT_ONCE = 1 << 22
"""Random signs held at a time."""


@dataclass(frozen=True)
class Signs:
    """What `sign_test` found.

    Attributes:
        z: the sum in standard deviations under the null.
        log10_p: one-sided p-value.
        bound: True if log10_p is a rigorous upper bound, False if it is the Monte Carlo p-value itself.
    """

    z: float
    log10_p: float
    bound: bool


def sign_test(values: NDArray[np.floating]) -> Signs:
    """Test numbers against random signs.

    Args:
        values: (n,) float; zeros count for nothing.
    """
    x = np.asarray(values, dtype=np.float64)
    size = float(np.abs(x).max(initial=0.0))
    if not size:
        return Signs(0.0, 0.0, bound=False)
    x = x[x != 0] / size
    total, spread = float(x.sum()), math.sqrt(float(x @ x))
    exceeding = int(np.sum(_drawn(x) >= total - 1e-9 * spread))
    log10_p, bound = math.log10(min((exceeding + 1) / (DRAWS + 1) + BOUND_FROM, 1.0)), False
    if not exceeding and total > 0:
        rigorous = _log_bound(np.abs(x), total) / math.log(10)
        if rigorous <= math.log10(BOUND_FROM):
            log10_p, bound = rigorous, True
    return Signs(total / spread, log10_p, bound)


def _drawn(x: Array) -> Array:
    """(DRAWS,) sums under random signs."""
    rng, totals = np.random.default_rng(SEED), np.zeros(DRAWS)
    step = max(AT_ONCE // DRAWS, 1)
    for start in range(0, len(x), step):
        part = x[start : start + step]
        bits = np.unpackbits(rng.integers(0, 256, size=(DRAWS, -(-len(part) // 8)), dtype=np.uint8), axis=1)
        totals += (2.0 * bits[:, : len(part)] - 1.0) @ part
    return totals


def _log_bound(sizes: Array, total: float) -> float:
    """min over t of log E[exp(t sum)] - t total, an upper bound of log P(sum >= total) for any t."""

    def exponent(log_t: float) -> float:
        scaled = math.exp(log_t) * sizes
        return float(np.sum(np.logaddexp(scaled, -scaled) - math.log(2)) - math.exp(log_t) * total)

    guess = math.log(total / float(sizes @ sizes))
    found = minimize_scalar(exponent, bounds=(guess - 3, guess + 8), method="bounded")
    return min(float(found.fun), 0.0)
