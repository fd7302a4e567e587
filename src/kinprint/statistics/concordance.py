"""Kendall's rank correlation with its exact null distribution: all orders of one sequence beside the other are equally likely.

Read the values in the order of the other sequence. Value i (from 0) is larger than j of the i values before it; under the null
hypothesis these j are independent, and each is uniform on 0 ... i. The number of concordant pairs is their sum. So its moment
generating function is a product known in closed form for any number of values, which no other rank correlation has:

    E exp(theta (C - E C)) = prod over m = 1 ... n of sinh(m theta / 2) / (m sinh(theta / 2)).

Spearman's correlation tells the same trends apart equally well (both lose 9 % against the product moment of normal values), but
its null distribution is a permanent. Kendall, A New Measure of Rank Correlation, Biometrika 1938; the sequential ranks are
independent by Renyi's theorem (1962).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from kinprint.arrays import Array, Float64s, Int64s
from kinprint.compiled import compiled
from kinprint.statistics import tails

SEED = 0x70616C696D7073


class Concordance(NamedTuple):
    """One-sided test for a rising trend.

    Attributes:
        tau: Kendall's correlation, -1 to 1.
        z: deviations of the number of concordant pairs from its mean under the null hypothesis.
        log10_p: see `kinprint.statistics.tails`; `bound` where it is Chernoff's.
    """

    tau: float
    z: float
    log10_p: float
    bound: bool


def rising(values: Int64s) -> Concordance:
    """Whether values rise in the order in which they stand, more than a random order would make them.

    Args:
        values: (n,) distinct numbers, n at least 2; `strict_ranks` breaks ties.
    """
    count = len(values)
    deviation = concordant(np.ascontiguousarray(values, np.int64)) - count * (count - 1) / 4
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 72)
    rng = np.random.default_rng(SEED)
    drawn = _drawn(count, 0.0, tails.DRAWS, rng)
    exceeding = int((drawn >= deviation).sum())
    tail = tails.p_value(exceeding, lambda: _log10_bound(count, deviation), lambda: _log_weights(count, deviation, rng))
    return Concordance(4 * deviation / (count * (count - 1)), deviation / spread, tail.log10_p, tail.bound)


def strict_ranks(values: Array, seed: int) -> Int64s:
    """(n,) ranks 0 ... n - 1 of numbers, ties in random order: given the null hypothesis they are as random as without ties."""
    chance = np.random.default_rng(seed).permutation(len(values))
    ranks = np.empty(len(values), np.int64)
    ranks[np.lexsort((chance, values))] = np.arange(len(values))
    return ranks


@compiled()
def concordant(values: Int64s) -> int:
    """How many pairs of distinct numbers stand in rising order; n log n steps (merge sort)."""
    current, other = values.copy(), np.empty_like(values)
    count, total, width = len(values), 0, 1
    while width < count:
        for start in range(0, count, 2 * width):
            middle = min(start + width, count)
            end = min(start + 2 * width, count)
            left, right = start, middle
            for place in range(start, end):
                if left < middle and (right >= end or current[left] < current[right]):
                    other[place] = current[left]
                    total += end - right
                    left += 1
                else:
                    other[place] = current[right]
                    right += 1
        current, other = other, current
        width *= 2
    return total


def _log_moment(count: int, theta: float) -> float:
    """log E exp(theta (C - E C))."""
    if theta == 0:
        return 0.0
    sizes = np.arange(1, count + 1)
    return float((_log_sinh(sizes * theta / 2) - np.log(sizes)).sum() - count * float(_log_sinh(np.array(theta / 2))))


def _log_sinh(x: Float64s) -> Float64s:
    return np.asarray(x + np.log(-np.expm1(-2 * x)) - math.log(2))


def _mean(count: int, theta: float) -> float:
    """Of C - E C under the distribution tilted by theta: the derivative of `_log_moment`."""
    sizes = np.arange(1, count + 1) * theta / 2
    return float((np.arange(1, count + 1) / 2 / np.tanh(sizes)).sum() - count / 2 / math.tanh(theta / 2))


def _log10_bound(count: int, deviation: float) -> float:
    """Chernoff: P(C - E C >= d) <= exp(log M(theta) - theta d), for any theta; here the best one."""
    most = count * (count - 1) / 4
    if deviation <= 0:
        return 0.0
    if deviation >= most:  # the one order that rises everywhere
        return -math.lgamma(count + 1) / math.log(10)
    theta = _tilt(count, deviation)
    return min(_log_moment(count, theta) - theta * deviation, 0.0) / math.log(10)


def _tilt(count: int, deviation: float) -> float:
    """The theta whose tilted mean is `deviation`."""
    low, high = 1e-12 / count, 1.0
    while _mean(count, high) < deviation and high < 600:
        high *= 2
    return float(brentq(lambda theta: _mean(count, theta) - deviation, low, high, xtol=1e-15)) if high < 600 else high


def _drawn(count: int, theta: float, draws: int, rng: np.random.Generator) -> Float64s:
    """(draws,) C - E C, drawn from the distribution tilted by theta >= 0: every sequential rank by inversion."""
    totals = np.zeros(draws)
    for size in range(2, count + 1):
        uniform = rng.random(draws)
        if theta == 0:
            ranks = np.floor(uniform * size)
        else:  # falling by a factor exp(-theta) from the top
            ranks = size - 1 - np.floor(np.log1p(uniform * math.expm1(-theta * size)) / -theta)
        totals += np.clip(ranks, 0, size - 1) - (size - 1) / 2
    return totals


def _log_weights(count: int, deviation: float, rng: np.random.Generator) -> tuple[float, Float64s]:
    """log dP/dQ of what was observed and of TILTED draws from Q, -inf where they do not reach it. Q is the even mixture of the
    tilts at which Chernoff's bound is 10^-RATE: fixed before the data are looked at."""
    thetas = [_rate_tilt(count, rate) for rate in tails.RATES]
    counts = tails.shares(SEED)
    drawn = np.concatenate([_drawn(count, theta, draws, rng) for theta, draws in zip(thetas, counts, strict=True)])
    totals = np.append(drawn, deviation)
    ratios = np.array([theta * totals - _log_moment(count, theta) for theta in thetas])
    weights = -(np.logaddexp.reduce(ratios, axis=0) - math.log(len(thetas)))
    return float(weights[-1]), np.where(drawn >= deviation, weights[:-1], -np.inf)


def _rate_tilt(count: int, rate: float) -> float:
    """The theta at which Chernoff's bound at the tilted mean is 10^-rate; a large one where no order is so rare."""

    def missing(log_theta: float) -> float:
        theta = math.exp(log_theta)
        return (theta * _mean(count, theta) - _log_moment(count, theta)) / math.log(10) - rate

    low, high = math.log(1e-3 / count**1.5), 2.0
    return math.exp(brentq(missing, low, high, xtol=1e-6) if missing(high) > 0 else high)


def average_ranks(values: NDArray[np.floating]) -> Float64s:
    """(n,) ranks less their mean, equal values sharing theirs: for Spearman's correlation beside the test."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[places] - (len(values) - 1) / 2)
