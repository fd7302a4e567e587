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

_LARGEST = np.float32(3.4e38)


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
    """Sums over a piece of a row; `columns` takes the squares of the change."""
    zero = np.float32(0)
    aa = bb = ab = dd = d4 = sab = saa = largest = zero
    finite = changed = near = zeroed = kept = np.int32(0)
    for j in range(a.size):
        x, y = a[j], b[j]
        d = y - x
        known = abs(d) <= _LARGEST
        x, y, d = (x, y, d) if known else (zero, zero, zero)
        change[j] = d
        size, square, product, own = abs(d), d * d, x * y, x * x
        columns[j] += square
        aa += own
        bb += y * y
        ab += product
        dd += square
        d4 += square * square
        largest = max(largest, size)
        little = abs(x) < small
        sab += product if little else zero
        saa += own if little else zero
        moved = size > zero
        finite += np.int32(known)
        changed += np.int32(moved)
        near += np.int32(moved and size <= rounding * abs(y))
        zeroed += np.int32(y == zero and x != zero)
        kept += np.int32(x != zero)
    return aa, bb, ab, dd, d4, largest, sab, saa, finite, changed, near, zeroed, kept


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
            aa, bb, ab, dd, d4, largest, sab, saa, finite, changed, near, zeroed, kept = _chunk(
                a[i, start:stop], b[i, start:stop], change[i, start:stop], small, rounding, columns[start:stop]
            )
            row_d[i] += dd
            row_a[i] += aa
            row_b[i] += bb
            row_ab[i] += ab
            totals[0] += finite
            totals[1] += changed
            totals[2] += aa
            totals[3] += bb
            totals[4] += ab
            totals[5] += dd
            totals[6] += d4
            totals[7] = max(totals[7], largest)
            totals[8] += near
            totals[9] += zeroed
            totals[10] += kept
            totals[11] += sab
            totals[12] += saa
            totals[13] += (stop - start) - finite
