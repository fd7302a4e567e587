"""The figures of a benchmark, from plain lists of numbers. Larger values speak for relatedness; ties count half."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Share = tuple[int, int]
"""How many of how many."""

FEW = 8
"""Fewer values than this say nothing about a distribution."""


def auc(related: Sequence[float], unrelated: Sequence[float]) -> float | None:
    """Chance that a related pair has a larger value than an unrelated one (Mann-Whitney U / (m n)); None if one is empty."""
    if not related or not unrelated:
        return None
    from scipy import stats  # half a second that every other command would wait for

    ranks = stats.rankdata([*related, *unrelated])
    u = ranks[: len(related)].sum() - len(related) * (len(related) + 1) / 2
    return float(u / (len(related) * len(unrelated)))


def reaching(values: Sequence[float | None], threshold: float) -> Share:
    """How many values are at least the threshold, of all; a method that does not apply (None) does not reach it."""
    return sum(value is not None and value >= threshold for value in values), len(values)


def above_all(related: Sequence[float | None], unrelated: Sequence[float | None]) -> Share | None:
    """Related pairs with a value larger than every unrelated pair: found at zero false accusations.

    Returns:
        None if there is no unrelated value to set the threshold.
    """
    known = [value for value in unrelated if value is not None]
    if not known:
        return None
    return sum(value is not None and value > max(known) for value in related), len(related)


def roc(related: Sequence[float | None], unrelated: Sequence[float | None]) -> list[tuple[float, float]]:
    """(share of unrelated pairs accused, share of related pairs found) at every threshold, from (0, ...) to the last value.

    Pairs to which the method does not apply are never found and never accused.
    """
    related_values, unrelated_values = (np.sort([v for v in values if v is not None]) for values in (related, unrelated))
    if not len(related) or not len(unrelated):
        return []
    thresholds = np.unique(np.concatenate([related_values, unrelated_values]))[::-1]
    points = [(0.0, 0.0)]
    for threshold in thresholds:
        y = (len(related_values) - np.searchsorted(related_values, threshold)) / len(related)
        x = (len(unrelated_values) - np.searchsorted(unrelated_values, threshold)) / len(unrelated)
        points.append((float(x), float(y)))
    return points


def uniformity(p: Sequence[float]) -> float | None:
    """p-value of a two-sided Kolmogorov-Smirnov test against the uniform distribution; None for fewer than FEW values.

    Monte Carlo p-values are multiples of 1/1000, which moves the distance by at most 0.001: nothing is done about it.
    """
    from scipy import stats

    return float(stats.kstest(p, "uniform").pvalue) if len(p) >= FEW else None
