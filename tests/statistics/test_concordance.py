"""Kendall's correlation: its null distribution against all orders, and p-values far below the smallest double."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau, kstest

from kinprint.statistics import concordance
from kinprint.statistics.concordance import average_ranks, concordant, rising, strict_ranks


def test_pairs_are_counted() -> None:
    values = np.random.default_rng(0).permutation(300)
    pairs = sum(int((values[i + 1 :] > values[i]).sum()) for i in range(300))
    assert concordant(values) == pairs
    assert rising(values).tau == pytest.approx(float(kendalltau(np.arange(300), values).statistic))


def test_the_moments_are_those_of_all_orders() -> None:
    orders = np.array(list(permutations(range(6))))
    deviations = np.array([concordant(order) for order in orders]) - 7.5
    for theta in (0.05, 0.7, 3.0):
        assert concordance._log_moment(6, theta) == pytest.approx(math.log(np.exp(theta * deviations).mean()))
        tilted = np.exp(theta * deviations)
        assert concordance._mean(6, theta) == pytest.approx(float((deviations * tilted).sum() / tilted.sum()))


def test_p_values_are_uniform() -> None:
    """H0: all orders are equally likely."""
    rng = np.random.default_rng(5)
    found = np.array([10 ** rising(rng.permutation(60)).log10_p for _ in range(1000)])
    assert kstest(found, "uniform").pvalue > 1e-3
    assert (found <= 0.01).mean() <= 0.02


@pytest.mark.parametrize("count", [2, 3, 5, 12, 40, 55])
def test_every_p_value_is_that_of_all_orders(count: int) -> None:
    """Counted with whole numbers, down to 1 / n!."""
    orders = [1]
    for size in range(2, count + 1):  # how many orders have so many concordant pairs
        orders = [sum(orders[max(k - size + 1, 0) : k + 1]) for k in range(len(orders) + size - 1)]
    total = math.factorial(count)
    for pairs in range(0, len(orders), max(len(orders) // 60, 1)):
        exact = math.log10(Fraction(sum(orders[pairs:]), total))
        assert concordance._log10_tail(count, pairs - count * (count - 1) / 4) == pytest.approx(exact, abs=2e-9)


def test_many_values() -> None:
    """Close to the normal limit where it is close to the truth; as deep as there are orders."""
    rng = np.random.default_rng(2)
    values = strict_ranks(np.arange(4000) * 0.0001 + rng.normal(size=4000), 0)
    normal = math.log10(kendalltau(np.arange(4000), values, alternative="greater").pvalue)
    assert rising(values).log10_p == pytest.approx(normal, rel=0.02)
    assert rising(np.arange(3000)).log10_p == pytest.approx(-math.lgamma(3001) / math.log(10))
    nearly = np.arange(3000)
    nearly[[0, 1]] = [1, 0]
    assert rising(nearly).log10_p == pytest.approx((math.log(3000) - math.lgamma(3001)) / math.log(10), abs=0.1)
    assert rising(np.arange(50)[::-1].copy()).log10_p == pytest.approx(0)


def test_ties_are_broken_by_chance() -> None:
    """H0: as above, with values of which many are equal."""
    rng = np.random.default_rng(8)
    found = [10 ** rising(strict_ranks(rng.integers(0, 3, 50), i)).log10_p for i in range(200)]
    assert kstest(found, "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(average_ranks(np.array([3.0, 1.0, 3.0])), [0.5, -1.0, 0.5])
