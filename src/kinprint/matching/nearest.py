"""Units of two models that are nearest to each other, both ways: by features, no label is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float32s, Float64s, Int64s
from kinprint.compiled import compiled

TILE = 1 << 17
"""Distances worked out at a time: they stay in the processor's cache."""

SIDE_BY_SIDE = 128
"""Columns whose state lies together in memory, so that a loop over them is vector code."""

_INFINITE = np.float32(np.inf)
_NONE = np.int32(0x7F800000)  # the bits of infinity


class Closest(NamedTuple):
    """Of each unit of one side (n,) the nearest of the other side, at what distance, and the distance of the second nearest;
    infinity where there is none."""

    which: Int64s
    distance: Float64s
    second: Float64s


def distances(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """(units of x, units of y) squared distances of their features; what is not finite is infinitely far from everything."""
    squares = (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)
    return np.where(np.isfinite(squares), squares, np.inf)


class Units(NamedTuple):
    """Features of some units as they are compared, worked out once however often that is: float32, so that squared distances of
    features of size 1 are right to some 1e-6.

    Attributes:
        rows: (units, features); one that is not finite is infinitely far from everything.
        turned: (features, units).
        squares: (units,) of their lengths.
    """

    rows: Float32s
    turned: Float32s
    squares: Float32s

    @classmethod
    def of(cls, features: Features) -> Units:
        """Of features (units, features), or what was worked out already."""
        if isinstance(features, Units):
            return features
        rows = np.ascontiguousarray(features, dtype=np.float32)
        return cls(rows, np.ascontiguousarray(rows.T), np.einsum("nf,nf->n", rows, rows))

    def twice_inner(self, other: Units) -> Iterator[tuple[slice, Float32s]]:
        """Twice the inner products of these and of others (columns), some rows at a time, in memory that is used again."""
        doubled, columns = 2 * self.rows, len(other.rows)
        step = max(TILE // max(columns, 1), 1)
        products = np.empty((min(step, len(doubled)), columns), np.float32)
        for start in range(0, len(doubled), step):
            part = slice(start, min(start + step, len(doubled)))
            yield part, np.matmul(doubled[part], other.turned, out=products[: part.stop - start])


Features: TypeAlias = "Float64s | Float32s | Units"


def closest(x: Features, y: Features) -> tuple[Closest, Closest]:
    """Of each unit of x the nearest of y, and of each of y the nearest of x, by squared distances; no table of all is made."""
    ours, theirs = Units.of(x), Units.of(y)
    rows, columns = len(ours.rows), len(theirs.rows)
    index, best, second = np.zeros(rows, np.int32), np.full(rows, _NONE), np.full(rows, _NONE)
    state = np.zeros((-(-columns // SIDE_BY_SIDE), 4, SIDE_BY_SIDE), np.int32)
    state[:, :2] = _NONE
    if columns:
        for part, inner in ours.twice_inner(theirs):
            own = index[part], best[part], second[part]
            _update(inner, ours.squares[part], theirs.squares, part.start, *own, state.reshape(-1))
    by_column = [state[:, what].reshape(-1)[:columns] for what in (2, 0, 1)]
    return _found(index, best, second), _found(*by_column)


def nearest_of(x: Features, y: Features) -> tuple[Int64s, Float64s]:
    """Of each unit of x the nearest of y, of which there is one at least, and its squared distance: as of `closest`."""
    ours, theirs = Units.of(x), Units.of(y)
    index, best = (np.empty(len(ours.rows), np.int32) for _ in range(2))
    row = np.empty(SIDE_BY_SIDE, np.int32)
    for part, inner in ours.twice_inner(theirs):
        _enter_rows(inner, ours.squares[part], theirs.squares, index[part], best[part], row)
    return index.astype(np.int64), best.view(np.float32).astype(np.float64)


def _found(which: NDArray[np.int32], *bits: NDArray[np.int32]) -> Closest:
    return Closest(which.astype(np.int64), *(part.view(np.float32).astype(np.float64) for part in bits))


@compiled()
def _bits(one: Any, inner: Any, other: Any) -> Any:
    """The bits of a distance, given the squares of both sides and twice the inner product. Bits of numbers not below zero
    have their order, and integers have no NaN to respect."""
    distance = one - inner + other
    known = distance if distance < _INFINITE else _INFINITE  # and not NaN
    positive = known if known > np.float32(0) else np.float32(0)
    return np.int32(np.float32(positive).view(np.int32))


@compiled()
def _enter(inner: Any, others: Any, square: Any, number: Any, state: Any) -> Any:
    """Enter the distances of one row to some columns into their state: the bits of the least, of the second, the row of the
    least, the bits of this row.

    Returns:
        the bits of the least of them.
    """
    least = _NONE
    for j in range(inner.size):
        bits = _bits(square, inner[j], others[j])
        best, second, row = state[j], state[SIDE_BY_SIDE + j], state[2 * SIDE_BY_SIDE + j]
        farther = bits if bits < second else second
        state[j] = bits if bits < best else best
        state[SIDE_BY_SIDE + j] = best if bits < best else farther
        state[2 * SIDE_BY_SIDE + j] = number if bits < best else row
        state[3 * SIDE_BY_SIDE + j] = bits
        least = bits if bits < least else least
    return least


@compiled()
def _first(bits: Any, wanted: Any) -> int:
    """The first place of a number that is there."""
    place = 0
    while place + 1 < bits.size and bits[place] != wanted:
        place += 1
    return place


@compiled()
def _least(bits: Any) -> Any:
    least = _NONE
    for j in range(bits.size):
        least = bits[j] if bits[j] < least else least
    return least


@compiled()
def _least_of(inner: Any, others: Any, square: Any) -> Any:
    """The bits of the least distance of one row to some columns."""
    least = _NONE
    for j in range(inner.size):
        bits = _bits(others[j], inner[j], square)
        least = bits if bits < least else least
    return least


@compiled()
def _fill(inner: Any, others: Any, square: Any, row: Any) -> None:
    for j in range(inner.size):
        row[j] = _bits(others[j], inner[j], square)


@compiled()
def _enter_rows(inner: Any, squares: Any, others: Any, index: Any, best: Any, row: Any) -> None:
    """Where the least distance of each row is, and its bits; `row` (SIDE_BY_SIDE,) is to work on."""
    rows, columns = inner.shape
    for i in range(rows):
        where, least = 0, _NONE
        for begin in range(0, columns, SIDE_BY_SIDE):
            end = begin + SIDE_BY_SIDE if begin + SIDE_BY_SIDE < columns else columns
            here = _least_of(inner[i, begin:end], others[begin:end], squares[i])
            if here < least:
                where, least = begin, here
        end = where + SIDE_BY_SIDE if where + SIDE_BY_SIDE < columns else columns
        _fill(inner[i, where:end], others[where:end], squares[i], row[: end - where])
        index[i], best[i] = where + _first(row, least), least


@compiled()
def _update(inner: Any, squares: Any, others: Any, first: int, index: Any, best: Any, second: Any, state: Any) -> None:
    """Enter the distances of some rows, the first of which is row `first`, given twice their inner products.

    Args:
        index, best, second: of the rows; the bits of the distances.
        state: of the columns, as of `_enter`, SIDE_BY_SIDE of each after each other.
    """
    rows, columns = inner.shape
    for i in range(rows):
        number = np.int32(first + i)
        where, least, next_one = 0, _NONE, _NONE
        for begin in range(0, columns, SIDE_BY_SIDE):
            end = begin + SIDE_BY_SIDE if begin + SIDE_BY_SIDE < columns else columns
            here = _enter(
                inner[i, begin:end], others[begin:end], squares[i], number, state[4 * begin : 4 * (begin + SIDE_BY_SIDE)]
            )
            if here < least:
                where, least, next_one = begin, here, least
            elif here < next_one:
                next_one = here
        count = SIDE_BY_SIDE if where + SIDE_BY_SIDE < columns else columns - where
        own = state[4 * where + 3 * SIDE_BY_SIDE : 4 * where + 3 * SIDE_BY_SIDE + count]
        place = _first(own, least)
        own[place] = _NONE
        beside = _least(own)
        index[i], best[i], second[i] = where + place, least, beside if beside < next_one else next_one


def mutual(distance: NDArray[np.floating]) -> tuple[Int64s, Int64s]:
    """Rows and columns of a table of distances that are each other's nearest; what is infinitely far has no nearest."""
    column, row = distance.argmin(axis=1), distance.argmin(axis=0)
    left = np.flatnonzero((row[column] == np.arange(len(distance))) & (distance.min(axis=1) < np.inf))
    return left, column[left]


def each_other(ours: Closest, theirs: Closest) -> tuple[Int64s, Int64s]:
    """As `mutual`, of what `closest` found."""
    left = np.flatnonzero((theirs.which[ours.which] == np.arange(len(ours.which))) & (ours.distance < np.inf))
    return left, ours.which[left]


def nearest(ours: Features, theirs: Features) -> tuple[Int64s, Int64s, Float64s]:
    """Neurons nearest to each other both ways, and by how much the second nearest is farther, up to the 90 % quantile."""
    one, other = closest(ours, theirs)
    if not len(one.which) or not len(other.which):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    left, right = each_other(one, other)
    if not len(left) or min(len(one.which), len(other.which)) < 2:
        return left, right, np.zeros(len(left))
    margins = one.second[left] - one.distance[left], other.second[right] - other.distance[right]
    margin = np.minimum(*margins)
    margin[~np.isfinite(margin)] = 0.0
    return left, right, np.minimum(margin, _quantile(margin, 0.9))


def _quantile(values: Float64s, share: float) -> float:
    """As `numpy.quantile`, to the last bit, of finite numbers: its general machinery takes longer than the matching."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    step, part = ordered[high] - ordered[low], place - low
    return float(ordered[high] - step * (1 - part) if part >= 0.5 else ordered[low] + step * part)


def partners(x: Features, y: Features, wanted: Int64s | None = None) -> Int64s:
    """(units of y,) the unit of x nearest to each, if it is so both ways; -1 where not.

    Args:
        wanted: units of y that are asked about, all by default; -1 for the others.
    """
    ours, theirs = Units.of(x), Units.of(y)
    rows, columns = len(ours.rows), len(theirs.rows)
    partner = np.full(columns, -1)
    if not rows or not columns:
        return partner
    if wanted is None or 2 * len(wanted) > columns:
        left, right = each_other(*closest(ours, theirs))
        if wanted is not None:
            asked = np.zeros(columns, dtype=bool)
            asked[wanted] = True
            left, right = left[asked[right]], right[asked[right]]
        partner[right] = left
        return partner
    there, distance = nearest_of(theirs.rows[wanted], ours)
    found = (nearest_of(ours.rows[there], theirs)[0] == wanted) & (distance < np.inf)
    partner[wanted[found]] = there[found]
    return partner
