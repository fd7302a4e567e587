"""The test of what is left over, against scipy and under its null hypothesis."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics.small_ball import small_ball_log10_p


@pytest.mark.parametrize(("square", "dimensions"), [(0.3, 1), (4.0, 10), (100.0, 287), (1200.0, 2000), (1900.0, 2000)])
def test_the_tail_is_that_of_chi_squared(square: float, dimensions: int) -> None:
    floor = 0.01
    exact = stats.chi2.logcdf(square, dimensions) / math.log(10)
    assert small_ball_log10_p(square * floor**2, dimensions, floor) == pytest.approx(exact, rel=1e-9)


def test_it_goes_on_where_doubles_end() -> None:
    """q numbers a thousandth of the floor each: the ball has 10^-3q of the density's height, times its volume."""
    q = 300
    volume = q / 2 * math.log10(math.pi) - math.lgamma(q / 2 + 1) / math.log(10)
    expected = volume + q / 2 * math.log10(q * 1e-6) - q / 2 * math.log10(2 * math.pi)
    assert small_ball_log10_p(q * 1e-6, q, 1.0) == pytest.approx(expected, abs=1e-3)
    assert small_ball_log10_p(0.0, q, 1.0) == small_ball_log10_p(1e-16, q, 1.0) > -3000


def test_uniform_at_the_boundary_and_larger_inside() -> None:
    """H0: a normal vector with at least the deviation of the floor in every direction. 1 000 vectors at the boundary give
    uniform p-values, others larger ones: a centre elsewhere, a larger deviation in some directions."""
    rng = np.random.default_rng(1)
    q, floor = 30, 0.01
    at = rng.normal(size=(1000, q)) * floor
    p = [10 ** small_ball_log10_p(float(z @ z), q, floor) for z in at]
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    for inside in (at + floor * rng.normal(size=q), at * np.r_[np.ones(q // 2), np.full(q - q // 2, 3.0)]):
        larger = [10 ** small_ball_log10_p(float(z @ z), q, floor) for z in inside]
        assert stats.kstest(larger, "uniform", alternative="greater").pvalue > 1e-3
        assert np.mean(larger) > 0.6


def test_nothing_to_test() -> None:
    assert small_ball_log10_p(0.0, 0, 1.0) == 0
    assert small_ball_log10_p(math.nan, 3, 1.0) == 0
