"""What stands for scipy.stats gives the same numbers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from kinprint.statistics.distributions import chi_squared_log10_tail, f_tail, student_log_density, student_tail
from kinprint.statistics.normal_scores import normal_scores

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("freedom", [2, 3, 17, 400, 2.5])
def test_tails_of_student(freedom: float) -> None:
    values = [0.0, 1e-9, *RANDOM.exponential(3, 50), 40.0, 1e6, 1e200]
    assert [student_tail(t, freedom) for t in values] == [float(stats.t.sf(t, freedom)) for t in values]
    assert [student_log_density(t, freedom) for t in values] == [float(stats.t.logpdf(t, freedom)) for t in values]


def test_tails_of_f() -> None:
    cases = [(float(RANDOM.exponential(2)), int(RANDOM.integers(1, 40)), int(RANDOM.integers(1, 4000))) for _ in range(50)]
    cases += [(0.0, 3, 7), (1e12, 3, 7)]
    assert [f_tail(*case) for case in cases] == [float(stats.f.sf(*case)) for case in cases]


@pytest.mark.parametrize("freedom", [0.3, 1.0, 12.7, 900.0])
def test_tails_of_chi_squared(freedom: float) -> None:
    values = np.concatenate([[0.0], RANDOM.chisquare(freedom, 50), [1e4, 1e9]])
    assert np.array_equal(chi_squared_log10_tail(values, freedom), stats.chi2.logsf(values, freedom) / np.log(10))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_scores(ties: bool, absent: bool, dtype: type) -> None:
    values = RANDOM.standard_normal((3, 40, 5)).astype(dtype)
    if ties:
        values = np.round(values)
        values[1] = -0.0
        values[2, :, 0] = np.inf
    if absent:
        values[RANDOM.random(values.shape) < 0.3] = np.nan
        values[0, :, 0] = np.nan
    unknown = np.isnan(values)
    count = np.maximum((~unknown).sum(axis=1, keepdims=True), 1)
    ranks = np.minimum(stats.rankdata(np.where(unknown, np.inf, values), axis=1), count)
    wanted = np.where(unknown, 0.0, special.ndtri(ranks / (count + 1)))
    assert np.array_equal(normal_scores(values), wanted)


def test_normal_scores_leave_features_as_they_are() -> None:
    """Also of one feature, whose columns lie in memory as they are needed."""
    values = RANDOM.standard_normal((2, 30, 1))
    values[0, 3] = np.nan
    before = values.copy()
    values.flags.writeable = False
    assert np.isfinite(normal_scores(values)).all()
    assert np.array_equal(values, before, equal_nan=True)


def test_normal_scores_of_nothing() -> None:
    assert normal_scores(np.zeros((2, 0, 3))).shape == (2, 0, 3)
