"""The one-pass kernel against numpy in float64."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

from kinprint.fingerprints.kernels import moments, sums, widened

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (65, 129), (200, 64)])
def test_against_numpy(dtype: type, shape: tuple[int, int]) -> None:
    """Sums, norms, moments of every dtype, at sizes that fill no block evenly."""
    values = np.random.default_rng(0).standard_t(5, shape).astype(dtype)
    values.flat[0] = 0
    totals, rows, columns, _ = sums(values)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(rows, (exact**2).sum(1), rtol=1e-5)
    np.testing.assert_allclose(columns, (exact**2).sum(0), rtol=1e-5)
    found = moments(totals)
    assert found[4] == pytest.approx(np.abs(exact).max())
    assert found[5] == (exact == 0).mean()
    if exact.size > 1:
        expected = [exact.mean(), exact.std(), stats.skew(exact, axis=None), stats.kurtosis(exact, axis=None) + 3]
        np.testing.assert_allclose(found[:4], expected, rtol=1e-3, atol=1e-5)


def test_entries_that_are_not_finite_are_counted_and_left_out() -> None:
    values = np.random.default_rng(1).normal(size=(10, 30)).astype(np.float32)
    holed = values.copy()
    holed[3, 4], holed[3, 5], holed[7, 0] = np.nan, np.inf, -np.inf
    totals, rows, columns, _ = sums(holed)
    kept = np.where(np.isfinite(holed), holed, 0).astype(np.float64)
    assert totals[7] == 3
    assert totals[0] == 297
    np.testing.assert_allclose(rows, (kept**2).sum(1), rtol=1e-5)
    np.testing.assert_allclose(columns, (kept**2).sum(0), rtol=1e-5)


def test_subnormal_and_huge_values() -> None:
    """Neither underflow nor overflow of fourth powers spoils the sums."""
    for scale in (1e-42, 1e-30, 1e12):
        values = (np.random.default_rng(2).normal(size=(4, 50)) * scale).astype(np.float32)
        totals, rows, _, _ = sums(values)
        assert totals[7] == 0
        if scale > 1:
            np.testing.assert_allclose(rows, (values.astype(np.float64) ** 2).sum(1), rtol=1e-5)


def test_nothing_measured_is_absent() -> None:
    assert np.isnan(moments(np.zeros(8))).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_widened_is_exact(dtype: type) -> None:
    values = np.random.default_rng(3).normal(size=(7, 9)).astype(dtype)
    np.testing.assert_array_equal(widened(values.T), values.T.astype(np.float32))
