"""From evidence to a verdict. Tests decide, scores describe: no score is looked at here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from kinprint.evidence import Evidence
from kinprint.statistics import smallest

Verdict = Literal["identical", "related", "no-evidence", "untestable"]

ALPHA = 1e-6
"""Largest combined p-value that is called related."""


def combined_log10_p(evidence: Sequence[Evidence]) -> float | None:
    """The smallest p-value times the number of tests (Bonferroni): valid however the tests depend on each other."""
    found = log10_ps(evidence)
    return smallest(found) if found else None


def log10_ps(evidence: Sequence[Evidence]) -> list[float]:
    """log10 p of every test that applies: the tries that the verdict is corrected for."""
    return [item.log10_p for item in evidence if item.kind == "test" and item.log10_p is not None]


def decide(same: str | None, log10_p: float | None, alpha: float = ALPHA) -> Verdict:
    """The verdict (METHODS: from evidence to a verdict).

    Args:
        same: how the weights are known to be the same, or None.
        log10_p: of `combined_log10_p`.
        alpha: largest p-value that is called related.
    """
    if same is not None:
        return "identical"
    if log10_p is None:
        return "untestable"
    return "related" if log10_p <= math.log10(alpha) else "no-evidence"
