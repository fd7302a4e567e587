"""Rank correlation and the combination of p-values, as logs: the p-values that occur here are far below the smallest double,
where scipy.stats gives 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import betainc, betaln, gammaln, hyp2f1, logsumexp

from kinprint.arrays import Int64s


def spearman(x: Int64s, y: Int64s) -> tuple[float, float]:
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
