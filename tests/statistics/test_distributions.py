"""What stands for scipy.stats gives the same numbers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics.distributions import chi_squared_log10_tail, f_tail, student_log_density, student_tail
from kinprint.statistics.ranks import mean_ranks

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
def test_ranks(ties: bool) -> None:
    values = RANDOM.standard_normal((3, 40, 5))
    if ties:
        values = np.round(values)
        values[1] = -0.0
        values[2, :, 0] = np.inf
    assert np.array_equal(mean_ranks(values), stats.rankdata(values, axis=1))
