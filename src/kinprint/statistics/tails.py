"""One-sided p-values that hold, from 1 down to where no number of draws reaches.

Three ways to bound the same tail under a null hypothesis one can draw from; each is valid for itself:

- plain Monte Carlo with the +1 correction, which reaches one over the number of draws;
- importance sampling: draws from tilted distributions Q, fixed before the data are looked at, weighted by w = dP/dQ. Then
  (w(observed) + sum over draws of w 1(T >= t)) / (draws + 1) is a valid p-value, whatever Q is (Harrison, Conservative
  hypothesis tests and confidence intervals using importance sampling, Biometrika 2012);
- a bound, as Chernoff's with the exact moment generating function, which reaches as far down as anything.

The smaller of the last two, doubled since there are two, is reported where it is at most SMALL; else the first plus SMALL. So
for x <= SMALL, P(p <= x) <= x / 2 + x / 2, and for larger x, P(p <= x) <= SMALL + (x - SMALL).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from kinprint.arrays import Float64s
from kinprint.statistics.multiplicity import smallest

DRAWS = 999
"""Plain draws; the smallest plain Monte Carlo p-value is 1 / (DRAWS + 1)."""

TILTED = 499
"""Draws from tilted distributions."""

RATES = (4.0, 8.0)
"""Tilted so that Chernoff's bound at the tilted mean is 10^-4, or 10^-8; Q is the even mixture of both."""

SMALL = 1e-4
RARE = 4
"""Plain draws that may reach the statistic where the other two ways are tried."""

FAR = -9.0
"""log10 of a bound that needs no importance sampling."""


class Tail(NamedTuple):
    """log10_p of one side; `bound` where it is a rigorous upper bound rather than a Monte Carlo p-value."""

    log10_p: float
    bound: bool


def p_value(exceeding: int, log10_bound: Callable[[], float], log_weights: Callable[[], tuple[float, Float64s]] | None) -> Tail:
    """The p-value of a statistic.

    Args:
        exceeding: how many of DRAWS plain draws reach it.
        log10_bound: gives the bound.
        log_weights: gives log w of what was observed, and of every tilted draw (TILTED,), -inf where the draw does not reach
            the statistic; None where nothing can be drawn so.
    """
    if exceeding <= RARE:
        rigorous = log10_bound()
        sampled = 0.0 if log_weights is None or rigorous <= FAR else _importance(*log_weights())
        smaller = smallest([rigorous, sampled])
        if smaller <= math.log10(SMALL):
            return Tail(smaller, bound=rigorous <= sampled)
    return Tail(math.log10(min((exceeding + 1) / (DRAWS + 1) + SMALL, 1.0)), bound=False)


def shares(seed: int) -> tuple[int, int]:
    """How many of the TILTED draws come from either tilted distribution: each draw from either with equal probability."""
    first = int(np.random.default_rng(seed).binomial(TILTED, 0.5))
    return first, TILTED - first


def _importance(observed: float, drawn: Float64s) -> float:
    """log10 of Harrison's p-value."""
    return float(logsumexp(np.append(drawn, observed)) - math.log(len(drawn) + 1)) / math.log(10)
