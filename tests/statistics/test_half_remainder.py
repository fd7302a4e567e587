"""Student's t over clusters: right sizes, right tails, and nothing said where nothing is left."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics.half_remainder import HALF, half_test, student_log10_p


def test_the_p_value_is_students_also_where_doubles_end() -> None:
    """As scipy has it; beyond the smallest double a bound that continues it and is never below the tail."""
    for t in (0.5, 3.0, 40.0):
        assert student_log10_p(t, 31) == pytest.approx(math.log10(2 * stats.t.sf(t, 30)))
    near, far = student_log10_p(4e6, 31), student_log10_p(8e6, 31)
    assert near == pytest.approx(far + 30 * math.log10(2), abs=1e-3)
    assert student_log10_p(1e12, 31) < -310


def test_a_remainder_of_exactly_half_is_rarely_called_less() -> None:
    """Null hypothesis at its edge: the second square is half of the first on average. p is twice a one-sided one."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(40), 5)
    p = [
        10 ** half_test(HALF * rng.normal(size=200) ** 2 - (math.sqrt(HALF) * rng.normal(size=200)) ** 2, cluster)
        for _ in range(2000)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.035


def test_a_tenth_is_less_than_half_and_more_is_not() -> None:
    """Power, and one side only."""
    rng = np.random.default_rng(2)
    first, cluster = rng.normal(size=400) ** 2, np.arange(400) % 80
    assert half_test(HALF * first - 0.1 * first, cluster) < -6
    assert half_test(HALF * first - 0.9 * first, cluster) == 0.0


def test_nothing_is_said_of_nothing() -> None:
    """No column, or no remainder on either side."""
    assert half_test(np.zeros(0), np.zeros(0, np.int64)) == 0.0
    assert half_test(np.zeros(8), np.arange(8)) == 0.0
