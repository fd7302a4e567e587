"""Families: models joined by tests, and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy.cluster.hierarchy import DisjointSet

from kinprint import methods
from kinprint.comparison import ALPHA, examine
from kinprint.fingerprints import Fingerprint
from kinprint.statistics import alpha_of_each

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True)
class Families:
    """Connected components of "the tests say related".

    Attributes:
        groups: indices of models, ascending; the largest group first. A stranger to all others is a group of one.
        links: the pairs that joined them, with log10 of their combined p-value (None: the same weights).
        pairs: pairs of models there are, for which alpha is corrected (Bonferroni).
        tested: pairs that were tested: all but those whose models were in one group already.
        untestable: pairs to which no test applies, as far as they were tried.
        alpha: chance, at most, that any two models of independent training are joined.
    """

    groups: tuple[tuple[int, ...], ...]
    links: tuple[tuple[int, int, float | None], ...]
    pairs: int
    tested: int
    untestable: tuple[tuple[int, int], ...]
    alpha: float


def families(
    models: Sequence[Fingerprint], *, alpha: float = ALPHA, progress: Progress = lambda what, done, total: None
) -> Families:
    """Which models are related, directly or through others, by the tests that work on fingerprints.

    Every pair of models that end up in different groups has been tested, each at alpha / number of pairs. So the chance that
    two groups of independent training are joined is at most alpha, however many models there are.

    Args:
        alpha: of the whole search, not of one pair.
    """
    tests = methods.tests()
    pairs = math.comb(len(models), 2)
    joined = DisjointSet(range(len(models)))
    links: list[tuple[int, int, float | None]] = []
    untestable, tested = [], 0
    for number, (a, b) in enumerate(combinations(range(len(models)), 2)):
        progress("comparing", number, pairs)
        if joined.connected(a, b):
            continue
        comparison = examine((models[a], models[b]), alpha=alpha_of_each(alpha, pairs), methods=tests)
        tested += 1
        if comparison.verdict in ("identical", "related"):
            joined.merge(a, b)
            links.append((a, b, None if comparison.verdict == "identical" else comparison.log10_p))
        elif comparison.verdict == "untestable":
            untestable.append((a, b))
    groups = sorted((tuple(sorted(group)) for group in joined.subsets()), key=lambda group: (-len(group), group))
    return Families(tuple(groups), tuple(links), pairs, tested, tuple(untestable), alpha)
