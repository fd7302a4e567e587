"""Does one model agree with a second more often than with a third? The exact sign test on the questions where that differs.

Null hypothesis: of the questions to which exactly one of the two gives the same answer as the first, each is as likely, or
likelier, to be one where the third does; questions are drawn independently. The number of the second's is then at most
binomial with one half (McNemar, 1947, in its exact form).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from kinprint.statistics.multiplicity import bonferroni


def more_often(second: NDArray[np.bool_], third: NDArray[np.bool_]) -> float:
    """log10 p of the null hypothesis above.

    Args:
        second, third: (questions,) whether that model gives the first one's answer.
    """
    wins, losses = int(np.sum(second & ~third)), int(np.sum(third & ~second))
    n = wins + losses
    if wins <= losses:
        return 0.0
    k = np.arange(wins, n + 1)
    terms = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * math.log(2)
    return min(float(logsumexp(terms)) / math.log(10), 0.0)


def holm(log10_ps: list[float]) -> list[float]:
    """P-values corrected for their number by Holm's step-down rule, in the order given: each is valid for its own null
    hypothesis whatever the others' (Holm, A simple sequentially rejective multiple test procedure, 1979)."""
    corrected = [0.0] * len(log10_ps)
    largest = -math.inf
    for place, number in enumerate(sorted(range(len(log10_ps)), key=lambda i: log10_ps[i])):
        largest = max(largest, bonferroni(log10_ps[number], len(log10_ps) - place))
        corrected[number] = largest
    return corrected
