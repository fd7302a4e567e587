"""The compiled loops: one pass over a matrix that everything else is derived from, and the angles of neurons.

bf16, f16, fp8 and f32 are read as they lie, anything else is converted to f32 first. A loop adds in float32 over at most a few
thousand entries, in float64 beyond, always in the same order: results do not depend on threads, shards or file formats.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.compiled import compiled
from kinprint.fingerprints.encodings import BITS, value

BLOCK_ROWS = 64
"""Rows whose columns are added in float32 before they go into the float64 column sums. Pieces are multiples of it."""

BLOCK_COLUMNS = 1024
"""Columns handled at a time: two float32 accumulators of this length and four rows fit the first-level cache."""

SMALL = 1 << 16
"""Up to so many entries numpy is done in a millisecond or two, in float64: models of a few layers never wait for a compiler."""

TILE_NEURONS, TILE_CHANNELS = 32, 1024
"""Of gate, up and down together."""

# Between these bounds of sum(x^4) a block neither overflowed, nor lost anything that matters to underflow.
_HIGH, _LOW = np.float32(1e37), np.float32(1e-30)

_ABSOLUTE = np.int32(0x7FFFFFFF)


class Sums(NamedTuple):
    """What one pass over a (rows, columns) piece gives. Entries that are not finite count for nothing but their number.

    Attributes:
        totals: (8,) count of finite entries, sums of x, x^2, x^3 and x^4, largest |x|, zeros, entries not finite.
        row_squares: (rows,) sums of squares.
        column_squares: (columns,) sums of squares.
        column_sums: (columns,) sums.
    """

    totals: Float64s
    row_squares: Float64s
    column_squares: Float64s
    column_sums: Float64s


def sums(piece: NDArray[Any]) -> Sums:
    """One pass over a piece of a matrix."""
    height, width = piece.shape
    total = Sums(np.zeros(8), np.zeros(height), np.zeros(width), np.zeros(width))
    fours = height - height % 4 if piece.size > SMALL else 0
    if fours:
        uncertain = np.zeros((-(-fours // BLOCK_ROWS), -(-width // BLOCK_COLUMNS)), np.uint8)
        scratch = np.empty((2, BLOCK_COLUMNS), np.float32), np.empty(BLOCK_ROWS)
        largest = _scan(_readable(piece), fours, *total, *scratch, uncertain)
        total.totals[5] = np.int32(largest).view(np.float32)
        for r, c in np.argwhere(uncertain) * (BLOCK_ROWS, BLOCK_COLUMNS):
            _add_carefully(piece, slice(r, min(r + BLOCK_ROWS, fours)), slice(c, c + BLOCK_COLUMNS), total)
    if fours < height:
        _add_carefully(piece, slice(fours, height), slice(0, width), total)
    return total


def _add_carefully(piece: NDArray[Any], rows: slice, columns: slice, total: Sums) -> None:
    """Add some rows and columns of a piece in float64, without the entries that are not finite."""
    values = widened(piece[rows, columns], np.float64)
    finite = np.isfinite(values)
    known = np.where(finite, values, 0.0)
    squares = known * known
    total.totals[:5] += finite.sum(), known.sum(), squares.sum(), (squares * known).sum(), (squares * squares).sum()
    total.totals[5] = max(total.totals[5], np.abs(known).max(initial=0.0))
    total.totals[6:] += (finite & (values == 0)).sum(), (~finite).sum()
    total.row_squares[rows] += squares.sum(axis=1)
    total.column_squares[columns] += squares.sum(axis=0)
    total.column_sums[columns] += known.sum(axis=0)


def products(
    gate: NDArray[Any], up: NDArray[Any], down: NDArray[Any], gain: NDArray[np.float32] | None = None, *, centre: bool = False
) -> Float64s:
    """Inner products of each neuron's vectors.

    Args:
        gate, up: (neurons, hidden).
        down: (hidden, neurons).
        gain: (hidden,) that rows of gate and up are multiplied by.
        centre: take the mean over channels out of all three, of gate and up after the gain.

    Returns:
        (neurons, 6): gate.gate, up.up, down.down, gate.up, gate.down, up.down.
    """
    inner, same = np.zeros((len(up), 9)), gate.dtype == up.dtype == down.dtype
    ones = np.ones(up.shape[1], np.float32) if gain is None else np.ascontiguousarray(gain, np.float32)
    if up.size <= SMALL:
        _products_of_few(widened(gate) * ones, widened(up) * ones, widened(down.T), inner)
    else:
        _products(*(_readable(part) if same else widened(part) for part in (gate, up, down)), ones, inner)
    if centre:
        x, y, z = inner[:, 6:].T
        inner[:, :6] -= np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1) / up.shape[1]
    return inner[:, :6]


def _products_of_few(gate: NDArray[Any], up: NDArray[Any], down: NDArray[Any], inner: Float64s) -> None:
    """As `_products`, of vectors (neurons, hidden) times the gain."""
    with np.errstate(all="ignore"):
        wide = [part.astype(np.float64) for part in (gate, up, down)]
        for column, (one, other) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
            inner[:, column] = np.einsum("nh,nh->n", wide[one], wide[other])
        inner[:, 6:] = np.stack([part.sum(axis=1) for part in wide], axis=1)


def widened(
    array: NDArray[Any], dtype: type[np.float32 | np.float64] = np.float32, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """A contiguous copy or view as float32 or float64; exact for bf16, f16, fp8 and f32.

    Args:
        out: contiguous, of the array's shape and of `dtype`: where to copy to.
    """
    if array.dtype not in BITS or array.size <= SMALL:
        with np.errstate(over="ignore", invalid="ignore"):  # NaN that signal
            wide = np.ascontiguousarray(array).astype(np.float32, copy=False)
            if out is None:
                return wide.astype(dtype, copy=False)
            out[...] = wide
        return out
    wide = np.empty(array.shape, dtype) if out is None else out
    _widen(_readable(array).reshape(-1), wide.reshape(-1))
    return wide


def contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy, or the array itself where it is."""
    return np.ascontiguousarray(_as_known(array)).view(array.dtype)


def picked(matrix: NDArray[Any], lines: NDArray[np.int64], *, axis: int) -> NDArray[np.float32]:
    """(n, length) float32: some rows of a matrix (axis 0), or some of its columns (axis 1), which then lie side by side.

    Args:
        lines: ascending, so that memory is read in its order.
    """
    wide = widened(np.take(_as_known(matrix), lines, axis=axis).view(matrix.dtype))
    return wide.T if axis else wide


def moments(totals: Float64s) -> Float64s:
    """Totals of `sums` -> mean, standard deviation, skewness, kurtosis (normal: 3), largest |x|, share of zeros."""
    count = totals[0]
    if not count:
        return np.full(6, np.nan)
    m1, m2, m3, m4 = totals[1:5] / count
    variance = max(m2 - m1**2, 0.0)
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    spread = variance**0.5
    known = spread > 2e-3 * abs(m1)  # otherwise they are rounding errors: differences of sums (m1 / spread)^4 times larger
    shape = (third / spread**3, fourth / variance**2) if known else (np.nan, np.nan)
    return np.array([m1, spread, *shape, totals[5], totals[6] / count])


def _as_known(array: NDArray[Any]) -> NDArray[Any]:
    """An array under a type that numpy copies many times faster than those that it does not know."""
    return array.view(BITS.get(array.dtype, array.dtype))


def _readable(array: NDArray[Any]) -> NDArray[Any]:
    """The contiguous bits of a type that `value` knows, under the integer type it knows them by; others as float32. Read-only,
    whatever the array is, because each kind would be compiled for itself."""
    if array.dtype in BITS:
        bits = np.ascontiguousarray(_as_known(array)).view()
    else:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes an infinity, which is counted as such
            bits = np.ascontiguousarray(array).astype(np.float32, copy=False).view()
    bits.flags.writeable = False
    return bits


@compiled()
def _widen(bits: Any, wide: Any) -> None:
    for j in range(bits.size):
        wide[j] = value(bits[j])


@compiled(reorder=True)
def _four_rows(a: Any, b: Any, c: Any, d: Any, column_squares: Any, column_sums: Any) -> Any:
    """Four rows together, so that the column accumulators are loaded and stored once for four entries.

    Returns the sums of squares of each row, of cubes and of fourth powers, the bits of the largest |x|, and zeros.
    """
    a2 = b2 = c2 = d2 = s3 = s4 = np.float32(0)
    largest = zeros = np.int32(0)
    for j in range(a.size):
        x, y, z, w = value(a[j]), value(b[j]), value(c[j]), value(d[j])
        xx, yy, zz, ww = x * x, y * y, z * z, w * w
        a2 += xx
        b2 += yy
        c2 += zz
        d2 += ww
        s3 += (xx * x + yy * y) + (zz * z + ww * w)
        s4 += (xx * xx + yy * yy) + (zz * zz + ww * ww)
        column_squares[j] += (xx + yy) + (zz + ww)
        column_sums[j] += (x + y) + (z + w)
        p, q = np.int32(np.float32(x).view(np.int32) & _ABSOLUTE), np.int32(np.float32(y).view(np.int32) & _ABSOLUTE)
        r, s = np.int32(np.float32(z).view(np.int32) & _ABSOLUTE), np.int32(np.float32(w).view(np.int32) & _ABSOLUTE)
        largest = max(largest, max(max(p, q), max(r, s)))
        zeros = np.int32(zeros + np.int32(p == 0) + np.int32(q == 0) + np.int32(r == 0) + np.int32(s == 0))
    return a2, b2, c2, d2, s3, s4, largest, zeros


@compiled(reorder=True)
def _total(values: Any) -> float:
    total = 0.0
    for j in range(values.size):
        total += values[j]
    return total


@compiled()
def _scan(
    rows: Any,
    height: int,
    totals: Any,
    row_squares: Any,
    column_squares: Any,
    column_sums: Any,
    by_column: Any,
    by_row: Any,
    uncertain: Any,
) -> int:
    """Add rows[:height], a multiple of four, block by block; the blocks that float32 is no good for are marked and left out.

    Args:
        by_column, by_row: (2, BLOCK_COLUMNS) float32 and (BLOCK_ROWS,) float64 to work on. What is allocated or called here is
            compiled with the loop, and takes longer than all of it.

    Returns:
        the bits of the largest |x|.
    """
    largest, width, squares, values = 0, rows.shape[1], by_column[0], by_column[1]
    for r0 in range(0, height, BLOCK_ROWS):
        r1 = r0 + BLOCK_ROWS if r0 + BLOCK_ROWS < height else height
        for c0 in range(0, width, BLOCK_COLUMNS):
            c1 = c0 + BLOCK_COLUMNS if c0 + BLOCK_COLUMNS < width else width
            entries = (r1 - r0) * (c1 - c0)
            for j in range(c1 - c0):
                squares[j] = 0
                values[j] = 0
            s2 = s3 = s4 = 0.0
            top, zeros = 0, 0
            for r in range(r0, r1, 4):
                a2, b2, c2, d2, cubes, fourths, highest, none = _four_rows(
                    rows[r, c0:c1], rows[r + 1, c0:c1], rows[r + 2, c0:c1], rows[r + 3, c0:c1], squares, values
                )
                i = r - r0
                by_row[i], by_row[i + 1], by_row[i + 2], by_row[i + 3] = a2, b2, c2, d2
                s2 += (np.float64(a2) + b2) + (np.float64(c2) + d2)
                s3 += cubes
                s4 += fourths
                top = highest if highest > top else top
                zeros += none
            s1 = _total(values[: c1 - c0])
            in_range = _LOW < s4 < _HIGH or zeros == entries
            centred = s1 * s1 <= 0.25 * entries * s2  # otherwise central moments would be small differences of large sums
            if not (in_range and centred):
                uncertain[r0 // BLOCK_ROWS, c0 // BLOCK_COLUMNS] = 1
                continue
            totals[0] += entries
            totals[1] += s1
            totals[2] += s2
            totals[3] += s3
            totals[4] += s4
            largest = top if top > largest else largest
            totals[6] += zeros
            for i in range(r1 - r0):
                row_squares[r0 + i] += by_row[i]
            for j in range(c1 - c0):
                column_squares[c0 + j] += squares[j]
            for j in range(c1 - c0):
                column_sums[c0 + j] += values[j]
    return largest


@compiled(reorder=True)
def _three_products(g: Any, u: Any, d: Any, gain: Any, nine: Any) -> None:
    gg = uu = dd = gu = gd = ud = gs = us = ds = np.float32(0)
    for j in range(d.size):
        x, y, z = value(g[j]) * gain[j], value(u[j]) * gain[j], d[j]
        gg += x * x
        uu += y * y
        dd += z * z
        gu += x * y
        gd += x * z
        ud += y * z
        gs += x
        us += y
        ds += z
    nine[0] += gg
    nine[1] += uu
    nine[2] += dd
    nine[3] += gu
    nine[4] += gd
    nine[5] += ud
    nine[6] += gs
    nine[7] += us
    nine[8] += ds


@compiled()
def _products(gate: Any, up: Any, down: Any, gain: Any, inner: Any) -> None:
    """`products` and sums, tile by tile: a tile of down is turned, so that all three lie along channels, of which 128 are added
    in float32."""
    neurons, hidden = gate.shape
    turned = np.empty(
        (TILE_NEURONS, TILE_CHANNELS + 16), np.float32
    )  # not a power of two, by which rows would share cache lines
    for n0 in range(0, neurons, TILE_NEURONS):
        n1 = n0 + TILE_NEURONS if n0 + TILE_NEURONS < neurons else neurons
        for t0 in range(0, hidden, TILE_CHANNELS):
            t1 = t0 + TILE_CHANNELS if t0 + TILE_CHANNELS < hidden else hidden
            for h in range(t0, t1):
                line = down[h, n0:n1]
                for n in range(line.size):
                    turned[n, h - t0] = value(line[n])
            for n in range(n0, n1):
                for h0 in range(t0, t1, 128):
                    h1 = h0 + 128 if h0 + 128 < t1 else t1
                    _three_products(gate[n, h0:h1], up[n, h0:h1], turned[n - n0, h0 - t0 : h1 - t0], gain[h0:h1], inner[n])
