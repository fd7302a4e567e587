"""Families: models joined by tests, and by nothing else."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kinprint import methods
from kinprint.comparison import ALPHA, Verdict, examine
from kinprint.comparison.identity import sameness
from kinprint.comparison.in_order import in_order
from kinprint.fingerprints import Fingerprint
from kinprint.statistics import alpha_of_each

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class Families:
    """Connected components of "the tests say related".

    Attributes:
        groups: indices of models, ascending; the largest group first. A stranger to all others is a group of one.
        links: the pairs that joined them, with log10 of their combined p-value (None: the same weights).
        pairs: pairs of models there are, for which alpha is corrected (Bonferroni).
        tested: pairs that were looked at: all but those whose models were in one group already, and those of a model whose
            weights another one holds too, which is looked at for both.
        untestable: pairs to which no test applies, as far as they were tried.
        alpha: chance, at most, that any two models of independent training are joined.
        apart: pairs in different groups that were not tested, since their vectors lie apart; None where that is no reason.
    """

    groups: tuple[tuple[int, ...], ...]
    links: tuple[tuple[int, int, float | None], ...]
    pairs: int
    tested: int
    untestable: tuple[Pair, ...]
    alpha: float
    apart: int | None = None


class Groups:
    """Which models are joined. One thread joins; others may ask meanwhile, and never hear that strangers are joined."""

    def __init__(self, models: int) -> None:
        self._group = list(range(models))

    def joined(self, a: int, b: int) -> bool:
        return self._group[a] == self._group[b]

    def join(self, a: int, b: int) -> None:
        kept, given_up = self._group[a], self._group[b]
        for model, group in enumerate(self._group):
            if group == given_up:
                self._group[model] = kept

    def largest_first(self) -> tuple[tuple[int, ...], ...]:
        members: dict[int, list[int]] = defaultdict(list)
        for model, group in enumerate(self._group):
            members[group].append(model)
        return tuple(sorted(map(tuple, members.values()), key=lambda group: (-len(group), group)))


def families(
    models: Sequence[Fingerprint],
    *,
    alpha: float = ALPHA,
    near: NDArray[np.bool_] | None = None,
    cache: bool = False,
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Families:
    """Which models are related, directly or through others, by the tests that work on fingerprints.

    Every pair of models that end up in different groups has been tested, each at alpha / number of pairs; of models that hold
    the same weights, one is tested for all. With `near`, pairs that are not near have not been. So the chance that two groups
    of independent training are joined is at most alpha, however many models there are.

    Args:
        alpha: of the whole search, not of one pair.
        near: (models, models) whether a pair is to be tested (`kinprint.library.trees.nearness`); by default every pair is.
        cache: use what tests said about a pair earlier, and keep what they say now.
        workers: pairs tested at once (`in_order`); the result is the same.
    """
    count, groups = math.comb(len(models), 2), Groups(len(models))
    copies = dict(_copies(models))
    for copy, original in copies.items():
        groups.join(original, copy)
    links: list[tuple[int, int, float | None]] = [(min(pair), max(pair), None) for pair in copies.items()]
    all_pairs = list(combinations((number for number in range(len(models)) if number not in copies), 2))
    pairs = [pair for pair in all_pairs if near is None or near[pair]]
    untestable, tested = [], 0

    def verdict(pair: Pair) -> tuple[Verdict, float | None] | None:
        """None of a pair that is joined already. One that will be, by pairs before it that are still being tested, is tested
        for nothing, and not looked at."""
        a, b = pair
        return None if groups.joined(a, b) else _verdict(models[a], models[b], alpha_of_each(alpha, count), cache)

    with closing(in_order(verdict, pairs, workers)) as verdicts:
        for number, ((a, b), said) in enumerate(zip(pairs, verdicts, strict=True)):
            progress("comparing", number, len(pairs))
            if said is None or groups.joined(a, b):
                continue
            tested += 1
            if said[0] in ("identical", "related"):
                groups.join(a, b)
                links.append((a, b, said[1]))
            elif said[0] == "untestable":
                untestable.append((a, b))
    apart = None if near is None else sum(not groups.joined(a, b) and not near[a, b] for a, b in all_pairs)
    return Families(groups.largest_first(), tuple(links), count, tested, tuple(untestable), alpha, apart)


def _verdict(first: Fingerprint, second: Fingerprint, alpha: float, cache: bool) -> tuple[Verdict, float | None]:
    """What is known of a pair, and log10 p; None of the same weights, which need no test."""
    if sameness(first, second).identical is not None:
        return "identical", None
    comparison = examine((first, second), alpha=alpha, methods=methods.tests(), cache=cache)
    return comparison.verdict, comparison.log10_p


def _copies(models: Sequence[Fingerprint]) -> Iterable[Pair]:
    """Models that hold the same weights as another one, by the digest of all of them, and that other one.

    That is the one of most traits and facts, so that as many tests apply as can.
    """
    holding: dict[str, list[int]] = defaultdict(list)
    for number, model in enumerate(models):
        if model.stated.content is not None:
            holding[model.stated.content].append(number)
    for numbers in holding.values():
        original = max(numbers, key=lambda number: (len(models[number].traits), len(models[number].facts), -number))
        for number in numbers:
            if number != original and sameness(models[original], models[number]).identical is not None:
                yield number, original
