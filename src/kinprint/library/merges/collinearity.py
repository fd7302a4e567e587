"""Which models could stand in a part's place, and how much parts are alike: what makes coefficients uncertain."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kinprint.arrays import Float64s
from kinprint.library.merges.combination import Data, Fit, clusters, fit
from kinprint.statistics.half_remainder import HALF, half_test, student_log10_p

INFLATED = 3.0
"""Inflation of an error that is worth words."""


def inflation(data: Data, combination: Fit) -> Float64s:
    """(chosen,) by how much each error is larger than if the other coefficients were known (root of the variance inflation
    factor, over differences from the mean of the parts).
    """
    kept = combination.weights > 0
    rows = data.x[list(combination.chosen)][:, kept] * np.sqrt(combination.weights[kept])
    inside = rows - rows.mean(axis=0)
    gram = inside @ inside.T
    whole = np.linalg.pinv(gram, hermitian=True)
    return np.asarray(np.sqrt(np.maximum(np.diag(gram) * np.diag(whole), 1.0)))


def instead(data: Data, combination: Fit, number: int, others: Sequence[int], alpha: float, *, half: bool) -> list[int]:
    """Models with which the sum explains as much if they stand in a part's place.

    Null hypothesis: both sums leave as much (Vuong's comparison of two explanations, by sums over channels). Those are named
    for which it is not rejected. With `half`: the other sum leaves at most twice as much; training may lead a merge of one
    model towards another.
    """
    found = []
    for other in others:
        if other in combination.chosen:
            continue
        replaced = fit(data, [other if row == number else row for row in combination.chosen])
        kept = (combination.weights > 0) & (replaced.weights > 0)
        weights = combination.weights[kept]
        if half:
            surplus = weights * (HALF * replaced.remainder[kept] ** 2 - combination.remainder[kept] ** 2)
            if half_test(surplus, clusters(data.places)[kept]) > math.log10(alpha):
                found.append(other)
            continue
        surplus = weights * (replaced.remainder[kept] ** 2 - combination.remainder[kept] ** 2)
        sums = np.bincount(clusters(data.places)[kept], surplus)
        sums = sums[sums != 0]
        spread = math.sqrt(float(np.sum((sums - sums.mean()) ** 2))) if len(sums) else 0.0
        if not spread or sums.sum() <= 0 or student_log10_p(float(sums.sum()) / spread, len(sums)) > math.log10(alpha):
            found.append(other)
    return found
