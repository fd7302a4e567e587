"""Ranks of one answer among others, and whether they are uniform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics.uniform_ranks import cramer_von_mises, rank_among, uniform_test


def test_the_statistic_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).random(37)
    assert cramer_von_mises(values) == pytest.approx(stats.cramervonmises(values, "uniform").statistic)


@pytest.mark.parametrize("size", [8, 100])
def test_uniform_under_the_null(size: int) -> None:
    """H0: independent uniform numbers. 1 000 samples; p-values are uniform up to the 1e-4 that are added."""
    rng = np.random.default_rng(2)
    p = [10 ** uniform_test(rng.random(size))[1] for _ in range(1000)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_are_uniform_whatever_the_distribution(ties: bool) -> None:
    """H0: one value and nine others from one distribution, of three values with ties. 4 000 ranks."""
    rng = np.random.default_rng(3)
    draw = (lambda n: rng.integers(3, size=n).astype(float)) if ties else (lambda n: rng.standard_cauchy(n))
    ranks = [rank_among(float(draw(1)[0]), draw(9), rng) for _ in range(4000)]
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("shift", [lambda u: u**2, lambda u: 1 - u**2, lambda u: 0.5 + (u - 0.5) / 2])
def test_ranks_that_are_not_uniform_are_seen(shift: object) -> None:
    """Low, high, or in the middle: far beyond what draws reach, and no smaller than scipy's by much."""
    values = shift(np.random.default_rng(4).random(150))  # type: ignore[operator]
    log10_p = uniform_test(values)[1]
    assert log10_p < -6
    assert log10_p > np.log10(stats.cramervonmises(values, "uniform").pvalue) - 8


def test_nothing_to_test() -> None:
    assert uniform_test(np.zeros(0))[1] == 0
