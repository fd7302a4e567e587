"""The one pass over a matrix that everything else is derived from: each byte is read once.

Accumulation runs in a fixed order (float32 inside a row or a block of rows, float64 across them), so the results do not
depend on threads, shards or file formats.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK_ROWS = 64
"""Rows whose squares are added in float32 before they go into the float64 column sums."""

_FINITE = np.uint32(0x7F800000)


def as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """A contiguous float32 copy or view; exact for bf16, f16, fp8 and f32."""
    array = np.ascontiguousarray(array)
    if array.dtype == ml_dtypes.bfloat16:
        return (array.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes an infinity, which is counted as such
        return array.astype(np.float32, copy=False)


def sums(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Power sums of a contiguous (rows, columns) piece of a matrix.

    Returns:
        totals (8,): count of finite entries, sums of x, x^2, x^3 and x^4, largest |x|, zeros, entries not finite;
        row_squares (rows,) and column_squares (columns,): sums of squares. Entries not finite count for nothing but
        their number.
    """
    totals, row_squares, column_squares = np.zeros(8), np.zeros(rows.shape[0]), np.zeros(rows.shape[1])
    if rows.dtype == ml_dtypes.bfloat16:
        _sums_bf16(rows.view(np.uint16), totals, row_squares, column_squares)
    else:
        _sums_f32(as_float32(rows).view(np.uint32), totals, row_squares, column_squares)
    return totals, row_squares, column_squares


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _row(bits: NDArray[np.uint32], block: NDArray[np.float32], totals: NDArray[np.float64]) -> float:
    """Add one row to the totals and to the block's column squares; returns the row's sum of squares."""
    x = bits.view(np.float32)
    s1 = s2 = s3 = s4 = np.float32(0)
    largest = np.uint32(0)
    zeros = np.uint32(0)
    for j in range(x.size):
        magnitude = bits[j] & np.uint32(0x7FFFFFFF)
        largest = max(largest, magnitude)
        zeros += np.uint32(magnitude == np.uint32(0))
        v = x[j]
        square = v * v
        s1 += v
        s2 += square
        s3 += square * v
        s4 += square * square
    if largest >= _FINITE or not s4 < np.float32(3e38):
        return _careful_row(x, block, totals)
    for j in range(x.size):
        block[j] += x[j] * x[j]
    totals[0] += x.size
    totals[1] += s1
    totals[2] += s2
    totals[3] += s3
    totals[4] += s4
    totals[5] = max(totals[5], np.abs(x).max())
    totals[6] += zeros
    return float(s2)


@njit(nogil=True, cache=True)
def _careful_row(x: NDArray[np.float32], block: NDArray[np.float32], totals: NDArray[np.float64]) -> float:
    """As `_row`, in float64 and without the entries that are not finite."""
    squares = 0.0
    for j in range(x.size):
        v = float(x[j])
        if not np.isfinite(v):
            totals[7] += 1
            continue
        block[j] += np.float32(min(v * v, 1e37))
        squares += v * v
        totals[0] += 1
        totals[1] += v
        totals[2] += v * v
        totals[3] += v * v * v
        totals[4] += v * v * v * v
        totals[5] = max(totals[5], abs(v))
        totals[6] += v == 0.0
    return squares


@njit(nogil=True, cache=True)
def _sums_bf16(
    rows: NDArray[np.uint16],
    totals: NDArray[np.float64],
    row_squares: NDArray[np.float64],
    column_squares: NDArray[np.float64],
) -> None:
    bits = np.empty(rows.shape[1], dtype=np.uint32)
    block = np.zeros(rows.shape[1], dtype=np.float32)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            bits[j] = np.uint32(rows[i, j]) << np.uint32(16)
        row_squares[i] = _row(bits, block, totals)
        if (i + 1) % BLOCK_ROWS == 0 or i + 1 == rows.shape[0]:
            column_squares += block
            block[:] = 0


@njit(nogil=True, cache=True)
def _sums_f32(
    rows: NDArray[np.uint32],
    totals: NDArray[np.float64],
    row_squares: NDArray[np.float64],
    column_squares: NDArray[np.float64],
) -> None:
    block = np.zeros(rows.shape[1], dtype=np.float32)
    for i in range(rows.shape[0]):
        row_squares[i] = _row(rows[i], block, totals)
        if (i + 1) % BLOCK_ROWS == 0 or i + 1 == rows.shape[0]:
            column_squares += block
            block[:] = 0


def moments(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Totals of `sums` -> mean, standard deviation, skewness, kurtosis (normal: 3), largest |x|, share of zeros."""
    count = totals[0]
    if not count:
        return np.full(6, np.nan)
    m1, m2, m3, m4 = totals[1:5] / count
    variance = max(m2 - m1**2, 0.0)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    spread = variance**0.5
    shape = (third / spread**3, fourth / variance**2) if spread > 1e-6 * totals[5] else (np.nan, np.nan)
    return np.array([m1, spread, *shape, totals[5], totals[6] / count])
