"""Layer maps against the enumeration of all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chisquare

from kinprint.statistics import alignment


def maps(reference: int, suspect: int) -> list[tuple[int, ...]]:
    every = itertools.product(range(reference), repeat=suspect)
    steps = (0, 1) if suspect > reference else range(1, reference)
    return [m for m in every if all(b - a in steps for a, b in itertools.pairwise(m))]


@pytest.mark.parametrize(("reference", "suspect"), [(1, 1), (4, 4), (5, 3), (6, 2), (3, 5), (2, 4)])
def test_best_and_sum(reference: int, suspect: int) -> None:
    """The best map, its total, and the sum over all maps are those of the enumeration."""
    pairs = np.random.default_rng(0).normal(size=(reference, suspect))
    totals = [sum(pairs[i, j] for j, i in enumerate(m)) for m in maps(reference, suspect)]
    assert alignment.best_map(pairs, suspect > reference) == maps(reference, suspect)[int(np.argmax(totals))]
    if suspect <= reference:
        assert alignment.best_total(pairs) == pytest.approx(max(totals))
        assert alignment.log_sum(pairs) == pytest.approx(logsumexp(totals))


def test_drawn_maps_come_as_often_as_they_weigh() -> None:
    """H0: a map is drawn with probability proportional to the product of its weights (chi squared, 6 maps)."""
    pairs = np.random.default_rng(1).normal(size=(4, 2))
    weights = np.exp([pairs[a, 0] + pairs[b, 1] for a, b in maps(4, 2)])
    drawn = alignment.drawn_maps(pairs, 20_000, seed=2).T.tolist()
    counts = [drawn.count(list(m)) for m in maps(4, 2)]
    assert chisquare(counts, 20_000 * weights / weights.sum()).pvalue > 1e-3


@pytest.mark.parametrize(("reference", "suspect"), [(4, 4), (5, 3), (3, 5)])
def test_admissible(reference: int, suspect: int) -> None:
    """Exactly the pairs of layers that occur in some map."""
    used = {(i, j) for m in maps(reference, suspect) for j, i in enumerate(m)}
    assert {tuple(pair) for pair in np.argwhere(alignment.admissible(reference, suspect)).tolist()} == used


def test_equal_depth_admits_the_identity_only() -> None:
    assert maps(4, 4) == [(0, 1, 2, 3)]
