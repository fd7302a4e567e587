"""Does one explanation leave less than half of what another leaves? A t-test over clusters of columns.

Columns of one cluster may depend on each other as they like; Student's t has as many degrees of freedom as there are
clusters, less one (Cameron and Miller 2015, section VI).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kinprint.statistics.distributions import student_log_density, student_tail

HALF = 0.5
"""What a further part of an explanation has to halve: `kinprint.library.merges.combination.select` says why."""


def half_test(surplus: NDArray[np.float64], cluster: NDArray[np.int64]) -> float:
    """log10 p of the null hypothesis that the second of two remainders is at least half of the first.

    Twice the one-sided p-value; 1 where the second is no smaller than half.

    Args:
        surplus: (columns,) HALF times the square of the first remainder, less the square of the second, both in one unit.
        cluster: (columns,) number of each column's cluster. Clusters whose surplus is nothing are not counted.
    """
    sums = np.bincount(cluster, surplus)
    sums = sums[sums != 0]
    spread = math.sqrt(float(sums @ sums))
    t = float(sums.sum()) / spread if spread else 0.0
    return student_log10_p(t, len(sums)) if t > 0 else 0.0


def student_log10_p(t: float, clusters: int) -> float:
    """Two-sided p-value of Student's t with clusters - 1 degrees of freedom, as log10.

    Far out from the bound P(T >= t) <= (v + t^2) / ((v - 1) t) f(t), which does not underflow (f is the density).
    """
    t, v = abs(t), max(clusters - 1, 2)
    p = 2 * student_tail(t, v)
    if p > 1e-200:
        return math.log10(min(p, 1.0))
    tail = student_log_density(t, v) + math.log(v + t * t) - math.log(v - 1) - math.log(t)
    return (tail + math.log(2)) / math.log(10)
