"""Units of two models matched one to one, and what the order of the matches says."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import betainc, betaln, gammaln, hyp2f1, logsumexp

Ids = NDArray[np.int64]

MOST = 4096
"""Neurons of a layer that are matched. The time of an assignment grows with their cube: 1.7 s at this size."""


def heaviest(matrix: NDArray[np.float32], most: int = MOST) -> Ids:
    """Rows of the largest norm, ascending: all if there are no more than `most`. Looks at no label."""
    if len(matrix) <= most:
        return np.arange(len(matrix))
    return np.sort(np.argpartition(-np.linalg.norm(matrix, axis=1), most)[:most])


def assignment(similarity: NDArray[np.floating]) -> Ids:
    """Units matched one to one so that the summed similarity is largest.

    Args:
        similarity: (units, units) of one model by those of another; NaN counts as 0.

    Returns:
        For every unit of the side with fewer units (of the first, if equal) its match on the other side.
    """
    wide = similarity if similarity.shape[0] <= similarity.shape[1] else similarity.T
    return np.asarray(linear_sum_assignment(np.nan_to_num(wide), maximize=True)[1], dtype=np.int64)


def paired_layers(similarity: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Layers matched by assignment, each (of the rows, of the columns), by ascending column."""
    rows, columns = linear_sum_assignment(np.nan_to_num(similarity), maximize=True)
    return sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda pair: pair[1])


def spearman(x: Ids, y: Ids) -> tuple[float, float]:
    """Spearman's rank correlation of two sequences of distinct numbers, and its two-sided log10 p.

    p is that of Student's t with n - 2 degrees of freedom, an incomplete beta function continued below the smallest
    double by its hypergeometric series; never below 2 / n!, the smallest that n! orders allow.
    """
    n = len(x)
    if n < 3:
        return math.nan, 0.0
    ranks = [np.argsort(np.argsort(values)) - (n - 1) / 2 for values in (x, y)]
    r = float(ranks[0] @ ranks[1] / np.linalg.norm(ranks[0]) ** 2)
    a, b, rest = (n - 2) / 2, 0.5, max(1 - r * r, 0.0)
    p = float(betainc(a, b, rest))
    if p > 0:
        log_p = math.log(p)
    elif rest > 0:
        log_p = a * math.log(rest) + b * math.log(r * r) - math.log(a) - betaln(a, b) + math.log(hyp2f1(a + b, 1, a + 1, rest))
    else:
        log_p = -math.inf
    return r, max(log_p, math.log(2) - float(gammaln(n + 1))) / math.log(10)


def fisher(log10_p: Sequence[float]) -> float:
    """Fisher's combination of independent p-values, as log10: the tail of chi squared with two degrees of freedom for each.

    With an even number 2 k of degrees of freedom that tail is exp(-s) sum_{i < k} s^i / i!, which does not underflow as logs.
    """
    s = -math.log(10) * sum(log10_p)
    if s <= 0:
        return 0.0
    i = np.arange(len(log10_p))
    return float(logsumexp(i * math.log(s) - gammaln(i + 1)) - s) / math.log(10)
