"""From evidence to a verdict. Tests decide, scores describe: no score is looked at here, and no test that is set aside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from kinprint.comparison.identity import Sameness
from kinprint.methods import Evidence
from kinprint.statistics import alpha_of_each, detectable, smallest
from kinprint.terms import ALPHA, Verdict


def combined_log10_p(evidence: Sequence[Evidence]) -> float | None:
    """The smallest p-value times the number of tests (Bonferroni): valid however the tests depend on each other."""
    p_values = log10_ps(evidence)
    return smallest(p_values) if p_values else None


def unforgeable_log10_p(evidence: Sequence[Evidence]) -> float | None:
    """The same over the tests whose evidence no relabelling can make, corrected for all tests; None if none of them applies."""
    p_values = [item.log10_p for item in evidence if item.decides and not item.forgeable and item.log10_p is not None]
    return smallest(p_values, tries=len(log10_ps(evidence))) if p_values else None


def with_detectable(evidence: Sequence[Evidence], alpha: float, beside: Sequence[Evidence] = ()) -> list[Evidence]:
    """Evidence in which every test that applies and states its resolution says what it could have seen.

    It is the correlation at which this test alone would say "related" in half of all cases; `alpha` is corrected for the number
    of tests, as the combined p-value is.

    Args:
        beside: further evidence that the verdict rests on.
    """
    tries = len(log10_ps([*evidence, *beside]))
    return [
        item
        if not item.decides or item.resolution is None
        else replace(item, detectable=detectable(item.resolution, alpha_of_each(alpha, tries)))
        for item in evidence
    ]


def log10_ps(evidence: Sequence[Evidence]) -> list[float]:
    """log10 p of every test that decides: the tries that the verdict is corrected for."""
    return [item.log10_p for item in evidence if item.decides and item.log10_p is not None]


def decide(content: Sameness, log10_p: float | None, alpha: float = ALPHA) -> Verdict:
    """The verdict (METHODS: from evidence to a verdict).

    Args:
        content: whether the weights are the same, and what besides them differs.
        log10_p: of `combined_log10_p`.
        alpha: largest p-value that is called related.
    """
    if content.weights is not None:
        return "related" if content.differences else "identical"
    if log10_p is None:
        return "untestable"
    return "related" if log10_p <= math.log10(alpha) else "no-evidence"
