"""The compiled loop over the entries of two matrices that answer each other: how many changed, by how much, and how.

Entries that are not finite in either matrix count for nothing but their number. A row is added in float32 over a thousand
entries, in float64 beyond, always in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kinprint.arrays import Float32s
from kinprint.compiled import compiled

FIELDS = (
    *("entries", "changed", "a_squares", "b_squares", "inner", "squares", "fourths", "largest"),
    *("near", "zeroed", "kept", "small_inner", "small_squares", "not_finite"),
)
"""What `Sums.totals` holds, in its order."""

CHUNK = 1024
"""Entries that are added in float32."""

_ABSOLUTE = np.int32(0x7FFFFFFF)


class Sums:
    """What has been added up of one pair of matrices.

    Attributes:
        totals: by name (`FIELDS`): finite entries; changed ones; sums of a^2, b^2, a*b, and of the change's squares and fourth
            powers; the largest change; changed entries of the matrices' roundings (`near`), entries that became zero, those
            among all that were not zero (`kept`), sums of a*b and a^2 over the entries that were small; entries not finite.
        row_changes, row_a, row_b, row_inner: (rows,) sums of the change's squares, of a^2, of b^2, of a*b.
        column_changes: (columns,) sums of the change's squares.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.totals = np.zeros(len(FIELDS))
        self.row_changes, self.row_a, self.row_b, self.row_inner = np.zeros((4, rows))
        self.column_changes = np.zeros(columns)

    def __getitem__(self, name: str) -> float:
        return float(self.totals[FIELDS.index(name)])

    def add(self, start: int, a: Float32s, b: Float32s, change: Float32s, *, small: float, rounding: float) -> None:
        """Add some rows.

        Args:
            start: number of the first.
            a, b: (rows, columns) contiguous.
            change: of the same shape; filled with b - a, 0 where either is not finite.
            small: entries of a below this count as small.
            rounding: relative size of changes that a rounding can make.
        """
        at = slice(start, start + len(a))
        rows = (self.row_changes[at], self.row_a[at], self.row_b[at], self.row_inner[at])
        columns = np.zeros(a.shape[1], np.float32)
        _add(a, b, change, np.float32(small), np.float32(rounding), self.totals, *rows, columns)
        self.column_changes += columns


@compiled(reorder=True)
def _chunk(a: Any, b: Any, change: Any, small: Any, rounding: Any, columns: Any) -> Any:
    """Sums over a piece of a row; `columns` takes the squares of the change. The largest change comes as its bits: a maximum of
    integers becomes vector code."""
    zero, none = np.float32(0), np.int32(0)
    aa = bb = ab = dd = d4 = sab = saa = zero
    changed = near = zeroed = kept = largest = none
    for j in range(a.size):
        x, y = a[j], b[j]
        d = y - x
        change[j] = d
        square, product, own = d * d, x * y, x * x
        columns[j] += square
        aa += own
        bb += y * y
        ab += product
        dd += square
        d4 += square * square
        bits = np.int32(np.float32(d).view(np.int32) & _ABSOLUTE)
        largest = max(largest, bits)
        little = np.float32(abs(x) < small)  # a factor: a choice would not become vector code
        sab += product * little
        saa += own * little
        changed = np.int32(changed + np.int32(bits != none))
        near = np.int32(near + np.int32((bits != none) & (abs(d) <= rounding * abs(y))))
        kept = np.int32(kept + np.int32(x != zero))
        zeroed = np.int32(zeroed + np.int32((x != zero) & (y == zero)))
    return aa, bb, ab, dd, d4, sab, saa, largest, changed, near, zeroed, kept


@compiled()
def _cleaned(a: Any, b: Any) -> Any:
    """Copies with zeros where either is not finite, and how many there are."""
    x, y, gone = a.copy(), b.copy(), 0
    for j in range(a.size):
        if not (np.isfinite(a[j]) and np.isfinite(b[j])):
            x[j] = y[j] = np.float32(0)
            gone += 1
    return x, y, gone


@compiled()
def _add(
    a: Any,
    b: Any,
    change: Any,
    small: Any,
    rounding: Any,
    totals: Any,
    row_d: Any,
    row_a: Any,
    row_b: Any,
    row_ab: Any,
    columns: Any,
) -> None:
    rows, length = a.shape
    for i in range(rows):
        for start in range(0, length, CHUNK):
            stop = min(start + CHUNK, length)
            x, y, gone = a[i, start:stop], b[i, start:stop], 0
            before = columns[start:stop].copy()
            found = _chunk(x, y, change[i, start:stop], small, rounding, columns[start:stop])
            if not np.isfinite(found[0] + found[1] + found[4]):
                x, y, gone = _cleaned(x, y)
                columns[start:stop] = before
                found = _chunk(x, y, change[i, start:stop], small, rounding, columns[start:stop])
            row_a[i] += found[0]
            row_b[i] += found[1]
            row_ab[i] += found[2]
            row_d[i] += found[3]
            totals[0] += (stop - start) - gone
            totals[1] += found[8]
            totals[2] += found[0]
            totals[3] += found[1]
            totals[4] += found[2]
            totals[5] += found[3]
            totals[6] += found[4]
            totals[7] = max(totals[7], np.float64(np.int32(found[7]).view(np.float32)))
            totals[8] += found[9]
            totals[9] += found[10]
            totals[10] += found[11]
            totals[11] += found[5]
            totals[12] += found[6]
            totals[13] += gone
