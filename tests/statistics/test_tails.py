"""p-values that hold from 1 down to where no number of draws reaches: against exact tails."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from kinprint.statistics import RelabellingGroup, exchangeability_test, sign_test, tails
from kinprint.statistics.exchangeability import Problem
from kinprint.statistics.relabelling import tilted


@pytest.mark.parametrize("positive", [66, 70, 74, 78])
def test_signs_between_draws_and_bound(positive: int) -> None:
    """Of 100 equal numbers so many are positive: the binomial tail, from 9e-4 down to 1e-8. Importance sampling is within a
    factor of three of twice the tail, where Chernoff's bound is not."""
    exact = binom.sf(positive - 1, 100, 0.5)
    found = sign_test(np.where(np.arange(100) < positive, 1.0, -1.0))
    if exact > tails.SMALL:
        assert found.log10_p > -3.1
    else:
        assert 0 < found.log10_p - math.log10(exact) < math.log10(6)
        assert not found.bound


def test_signs_are_valid_where_they_are_small() -> None:
    """H0: 40 000 sums of 60 numbers of random magnitudes and signs: P(p <= x) <= x at 1e-2, 1e-3, 2e-4."""
    rng = np.random.default_rng(0)
    sizes = rng.exponential(size=60)
    values = []
    for _ in range(4000):
        signs = np.where(rng.random(60) < 0.5, 1.0, -1.0)
        if (signs * sizes).sum() > 1.5 * np.linalg.norm(sizes):  # the others have p > 0.01
            values.append(sign_test(signs * sizes).log10_p)
    found = np.array(values)
    for level in (1e-2, 1e-3):
        assert (found <= math.log10(level)).sum() <= 4000 * level + 4 * math.sqrt(4000 * level)


def test_relabellings_between_draws_and_bound() -> None:
    """Eight units of one layer have 40 320 relabellings: no p-value is below one in so many; some are below one in 1 000."""
    rng = np.random.default_rng(1)
    every = np.array(list(itertools.permutations(range(8))))
    checked = 0
    for strength in (0.3, 0.5, 0.7, 0.9, 1.2):
        x = rng.normal(size=(1, 8, 5))
        y = strength * x + rng.normal(size=x.shape)
        found = exchangeability_test(x, y, RelabellingGroup(8))
        assert found.log10_p >= -math.log10(len(every))
        checked += found.log10_p < -3
    assert checked


def test_tilted_relabellings_come_as_often_as_they_weigh() -> None:
    """H0: a relabelling is drawn with probability proportional to exp(theta total): all 24 of four units, and the 8 of two
    groups of two."""
    rng = np.random.default_rng(2)
    single = rng.normal(size=(4, 4))
    for groups, members in ((4, 1), (2, 2)):
        structure = RelabellingGroup(groups, members)
        scores = single.reshape(groups, members, groups, members).transpose(0, 2, 1, 3)[None, None, :, :, None]
        draws = 20_000
        chosen = np.zeros((1, draws), dtype=np.int64)
        counts = np.array([[groups]]), np.array([members])
        totals = tilted(scores, 0.7, np.array([0]), chosen, *counts, 3)[0]
        inside = list(itertools.permutations(range(members)))
        orders = [
            np.concatenate([[g * members + m for m in within] for g, within in zip(outer, chosen_, strict=True)])
            for outer in itertools.permutations(range(groups))
            for chosen_ in itertools.product(inside, repeat=groups)
        ]
        exact = np.array([single[np.arange(4), order].sum() for order in orders])
        weights = np.exp(0.7 * exact)
        seen = np.array([np.isclose(totals, value).sum() for value in exact])
        assert seen.sum() == draws
        assert chisquare(seen, draws * weights / weights.sum()).pvalue > 1e-3
        assert structure.units == 4


def test_layers_that_are_copies_count_once() -> None:
    """The bound of m copies of a layer is that of one, and importance sampling is left out where layers share a relabelling."""
    rng = np.random.default_rng(4)
    one = rng.normal(size=(1, 1, 8, 8, 1, 1, 1))
    grid, inner = np.arange(8)[None, None], np.zeros((1, 1), dtype=np.int64)
    alone = Problem(one, np.array([[0, 0]]), grid, inner, (1, 1), np.array([0]))
    pairs, many = np.array([[0, 0], [1, 1], [2, 2]]), np.repeat(one, 3, axis=0)
    copies = Problem(many, pairs, np.repeat(grid, 3, axis=0), inner, (3, 3), np.array([0, 0, 0]))
    assert copies.log_moments(0.2).sum() == pytest.approx(alone.log_moments(0.6).sum())
    np.testing.assert_allclose(copies.drawn.sum(axis=0), 3 * alone.drawn[0])
