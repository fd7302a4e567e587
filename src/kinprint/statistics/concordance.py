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

WIDE = 12.0
"""Deviations of the tilted distribution that the integral takes in: beyond, its characteristic function is below exp(-60)."""

NODES = 512
FAR = 64
"""Points of the integral, and points at which what lies beyond is bounded."""

FEW = 50
"""Up to so many values the whole integral is taken."""

LARGEST = 40.0
"""Tilt from which the distribution stands still at its end."""


class Concordance(NamedTuple):
    """One-sided test for a rising trend.

    Attributes:
        tau: Kendall's correlation, -1 to 1.
        z: deviations of the number of concordant pairs from its mean under the null hypothesis.
        log10_p: of as many concordant pairs or more, exact.
    """

    tau: float
    z: float
    log10_p: float


def rising(values: Int64s) -> Concordance:
    """Whether values rise in the order in which they stand, more than a random order would make them.

    Args:
        values: (n,) distinct numbers, n at least 2; `strict_ranks` breaks ties.
    """
    count = len(values)
    deviation = concordant(np.ascontiguousarray(values, np.int64)) - count * (count - 1) / 4
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 72)
    return Concordance(4 * deviation / (count * (count - 1)), deviation / spread, _log10_tail(count, deviation))


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


def _log10_tail(count: int, deviation: float) -> float:
    """log10 P(C - E C >= deviation), to about ten digits at any depth.

    With M the moment generating function, phi(t) = M(theta + i t) / M(theta) is the characteristic function of C under the
    distribution tilted by theta > 0, and

        P(C - E C >= d) = M(theta) exp(-theta d) / pi * integral_0^pi Re(phi(t) exp(-i t d) / (1 - exp(-theta - i t))) dt.

    At the theta whose tilted mean is d nothing cancels. phi falls like a Gaussian where values are many: the trapezoidal rule
    takes it to WIDE tilted deviations, and the largest of what is beyond at FAR points is added, which is less than rounding.
    Of FEW values all of the integral is taken. (Daniels, Tail Probability Approximations, 1987, approximates it.)
    """
    most = count * (count - 1) / 4
    if deviation >= most:  # the one order that rises everywhere
        return -math.lgamma(count + 1) / math.log(10)
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 72)
    if deviation < -WIDE * spread / 2:
        return 0.0
    theta = _tilt(count, deviation, spread)
    end = min(WIDE / math.sqrt(_variance(count, theta)), math.pi) if count > FEW else math.pi
    nodes = NODES if count > FEW else 8 * NODES
    t = np.linspace(0, end, nodes + 1)
    s = theta + 1j * t
    heights = (np.exp(_log_phi(count, theta, t) - 1j * t * deviation) / -np.expm1(-s)).real
    inside = float(heights.sum() - (heights[0] + heights[-1]) / 2) * end / nodes
    beyond = 0.0
    if end < math.pi:
        far = np.exp(np.linspace(math.log(end), math.log(math.pi), FAR))
        beyond = float(np.exp(_log_phi(count, theta, far).real.max())) * (math.pi - end) / -math.expm1(-theta)
    logs = _log_moment(count, theta) - theta * deviation + math.log((inside + beyond) / math.pi)
    return min(logs, 0.0) / math.log(10)


def _log_phi(count: int, theta: float, t: Float64s) -> NDArray[np.complex128]:
    """log of the tilted characteristic function of C - E C at t, up to multiples of 2 pi i."""
    s, total = theta + 1j * t, np.zeros(len(t), np.complex128)
    for size in range(2, count + 1):
        total += np.log1p(-np.exp(-size * s)) - math.log(-math.expm1(-size * theta))
    total -= (count - 1) * (np.log1p(-np.exp(-s)) - math.log(-math.expm1(-theta)))
    return np.asarray(total + 1j * t * count * (count - 1) / 4)


def _log_moment(count: int, theta: float) -> float:
    """log E exp(theta (C - E C)), theta > 0."""
    sizes = np.arange(1, count + 1)
    return float((_log_sinh(sizes * theta / 2) - np.log(sizes)).sum() - count * float(_log_sinh(np.array(theta / 2))))


def _log_sinh(x: Float64s) -> Float64s:
    return np.asarray(x + np.log(-np.expm1(-2 * x)) - math.log(2))


def _mean(count: int, theta: float) -> float:
    """Of C - E C under the distribution tilted by theta: the derivative of `_log_moment`."""
    sizes = np.arange(1, count + 1) / 2
    return float((sizes / np.tanh(sizes * theta)).sum() - count / 2 / math.tanh(theta / 2))


def _variance(count: int, theta: float) -> float:
    """The same of the variance: the derivative of `_mean`."""
    sizes = np.arange(1, count + 1) / 2
    with np.errstate(over="ignore"):
        return float(
            count / 4 / math.sinh(theta / 2) ** 2
            - (sizes / np.sinh(np.minimum(sizes * theta, 300))) @ (sizes / np.sinh(np.minimum(sizes * theta, 300)))
        )


def _tilt(count: int, deviation: float, spread: float) -> float:
    """The theta whose tilted mean is `deviation`, but no less than that of one deviation: the formula needs theta > 0."""
    low, high = 1 / spread, 2 / spread
    if deviation <= _mean(count, low):
        return low
    while _mean(count, high) < deviation and high < LARGEST:
        high *= 2
    return float(brentq(lambda theta: _mean(count, theta) - deviation, low, high)) if high < LARGEST else LARGEST


def average_ranks(values: NDArray[np.floating]) -> Float64s:
    """(n,) ranks less their mean, equal values sharing theirs: for Spearman's correlation beside the test."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2)[places] - (len(values) - 1) / 2)
