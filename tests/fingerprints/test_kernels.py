"""The one-pass kernel against numpy in float64."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

from kinprint.fingerprints import kernels
from kinprint.fingerprints.kernels import contiguous, moments, picked, products, sums, widened

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


@pytest.fixture(autouse=True, params=["numpy", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to compute the same: numpy's, which small arrays take, and the compiled loops."""
    if request.param == "compiled":
        monkeypatch.setattr(kernels, "SMALL", 0)


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


@pytest.mark.parametrize("dtype", DTYPES[2:], ids=lambda d: np.dtype(d).name)
def test_every_bit_pattern(dtype: type) -> None:
    """Subnormal, infinite, NaN, both zeros: every value of the narrow types is read as numpy reads it."""
    width = np.uint8 if np.dtype(dtype).itemsize == 1 else np.uint16
    values = np.arange(np.iinfo(width).max + 1, dtype=width).view(dtype)
    with np.errstate(invalid="ignore"):  # NaN that signal
        exact = values.astype(np.float32)
        exact64 = exact.astype(np.float64)
    np.testing.assert_array_equal(widened(values), exact)
    np.testing.assert_array_equal(widened(values, np.float64), exact64)
    number = ~np.isnan(exact)
    np.testing.assert_array_equal(np.signbit(widened(values)[number]), np.signbit(exact[number]))
    totals, _, columns, column_sums = sums(values.reshape(16, -1))
    kept = np.where(np.isfinite(exact), exact, 0).astype(np.float64).reshape(16, -1)
    assert totals[7] == (~np.isfinite(exact)).sum()
    assert totals[0] == np.isfinite(exact).sum()
    assert totals[6] == (exact == 0).sum()
    np.testing.assert_allclose(columns, (kept**2).sum(0), rtol=1e-5)
    np.testing.assert_allclose(column_sums, kept.sum(0), rtol=1e-5, atol=1e-6 * np.abs(kept).max())


def test_moments_far_from_zero() -> None:
    """A mean a hundred times the spread leaves skewness and kurtosis right; where they would be noise they are absent."""
    values = np.random.default_rng(4).gamma(2, 0.07, (256, 300)).astype(np.float32) + np.float32(10)
    exact = values.astype(np.float64)
    found = moments(sums(values).totals)
    np.testing.assert_allclose(found[:2], [exact.mean(), exact.std()], rtol=1e-7)
    np.testing.assert_allclose(found[2:4], [stats.skew(exact, None), stats.kurtosis(exact, None) + 3], rtol=1e-3)
    assert np.isnan(moments(sums(values + np.float32(1e4)).totals)[2:4]).all()


@pytest.mark.parametrize("rows", [1, 3, 64, 67, 200])
def test_cutting_by_blocks_changes_nothing(rows: int) -> None:
    """Bit for bit: what a piece gives does not depend on what is in memory around it."""
    values = np.random.default_rng(5).normal(size=(rows, 1500)).astype(ml_dtypes.bfloat16)
    padded = np.zeros((rows, 1600), ml_dtypes.bfloat16)
    padded[:, 50:1550] = values
    for mine, other in zip(sums(padded[:, 50:1550]), sums(values), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_products_of_neurons(dtype: type) -> None:
    rng = np.random.default_rng(6)
    gate, up, down = (rng.normal(size=shape).astype(dtype) for shape in ((70, 150), (70, 150), (150, 70)))
    g, u, d = gate.astype(np.float64), up.astype(np.float64), down.astype(np.float64).T
    expected = np.stack([(a * b).sum(1) for a, b in ((g, g), (u, u), (d, d), (g, u), (g, d), (u, d))], axis=1)
    np.testing.assert_allclose(products(gate, up, down), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(products(gate, up.astype(np.float32), down), expected, rtol=1e-5, atol=1e-4)


def test_nothing_measured_is_absent() -> None:
    assert np.isnan(moments(np.zeros(8))).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_widened_is_exact(dtype: type) -> None:
    values = np.random.default_rng(3).normal(size=(7, 9)).astype(dtype)
    np.testing.assert_array_equal(widened(values.T), values.T.astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_lines_that_are_picked(dtype: type) -> None:
    values, lines = np.random.default_rng(7).normal(size=(12, 9)).astype(dtype), np.array([1, 4, 8])
    np.testing.assert_array_equal(picked(values, lines, axis=0), values[lines].astype(np.float32))
    np.testing.assert_array_equal(picked(values, lines, axis=1), values[:, lines].T.astype(np.float32))
    np.testing.assert_array_equal(contiguous(values[:, 2:5]).astype(np.float64), values[:, 2:5].astype(np.float64))
