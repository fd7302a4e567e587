"""Units of two models that are nearest to each other, both ways: by features, no label is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.compiled import compiled

TILE = 1 << 18
"""Distances worked out at a time: they stay in the processor's cache."""


class Closest(NamedTuple):
    """Of each unit of one side (n,) the nearest of the other side, at what distance, and the distance of the second nearest;
    infinity where there is none."""

    which: Int64s
    distance: Float64s
    second: Float64s


def distances(x: Float64s, y: Float64s) -> Float64s:
    """(units of x, units of y) squared distances of their features; what is not finite is infinitely far from everything."""
    squares = (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)
    return np.where(np.isfinite(squares), squares, np.inf)


def closest(x: Float64s, y: Float64s) -> tuple[Closest, Closest]:
    """Of each unit of x the nearest of y, and of each of y the nearest of x, by squared distances; no table of all is made.

    Args:
        x, y: (units, features); a row that is not finite is infinitely far from everything.
    """
    ours, theirs = _far(len(x)), _far(len(y))
    squares, others, turned = (x**2).sum(1), (y**2).sum(1), np.ascontiguousarray(y.T)
    rows = max(TILE // max(len(y), 1), 1)
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        _update((2 * x[part]) @ turned, squares[part], others, start, *(array[part] for array in ours), *theirs)
    return ours, theirs


def _far(count: int) -> Closest:
    return Closest(np.zeros(count, np.int64), np.full(count, np.inf), np.full(count, np.inf))


@compiled()
def _update(
    inner: Float64s,
    squares: Float64s,
    others: Float64s,
    first: int,
    index: Int64s,
    best: Float64s,
    second: Float64s,
    column_index: Int64s,
    column_best: Float64s,
    column_second: Float64s,
) -> None:
    """Enter the distances of some rows, the first of which is row `first`, given twice their inner products."""
    rows, columns = inner.shape
    here = np.empty(columns)
    for i in range(rows):
        square = squares[i]
        for j in range(columns):
            distance = square - inner[i, j] + others[j]
            distance = distance if distance < np.inf else np.inf  # and not NaN
            here[j] = distance
            closer = distance < column_best[j]
            column_second[j] = column_best[j] if closer else min(column_second[j], distance)
            column_index[j] = first + i if closer else column_index[j]
            column_best[j] = distance if closer else column_best[j]
        nearest, nearest_distance, next_distance = 0, np.inf, np.inf
        for j in range(columns):
            if here[j] < next_distance:
                if here[j] < nearest_distance:
                    nearest, nearest_distance, next_distance = j, here[j], nearest_distance
                else:
                    next_distance = here[j]
        index[i], best[i], second[i] = nearest, nearest_distance, next_distance


def mutual(distance: NDArray[np.floating]) -> tuple[Int64s, Int64s]:
    """Rows and columns of a table of distances that are each other's nearest; what is infinitely far has no nearest."""
    column, row = distance.argmin(axis=1), distance.argmin(axis=0)
    left = np.flatnonzero((row[column] == np.arange(len(distance))) & (distance.min(axis=1) < np.inf))
    return left, column[left]


def each_other(ours: Closest, theirs: Closest) -> tuple[Int64s, Int64s]:
    """As `mutual`, of what `closest` found."""
    left = np.flatnonzero((theirs.which[ours.which] == np.arange(len(ours.which))) & (ours.distance < np.inf))
    return left, ours.which[left]


def nearest(ours: Float64s, theirs: Float64s) -> tuple[Int64s, Int64s, Float64s]:
    """Neurons nearest to each other both ways, and by how much the second nearest is farther, up to the 90 % quantile."""
    one, other = closest(ours, theirs)
    if not len(ours) or not len(theirs):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    left, right = each_other(one, other)
    if not len(left) or min(len(ours), len(theirs)) < 2:
        return left, right, np.zeros(len(left))
    margins = one.second[left] - one.distance[left], other.second[right] - other.distance[right]
    margin = np.nan_to_num(np.minimum(*margins), posinf=0.0)
    return left, right, np.minimum(margin, _quantile(margin, 0.9))


def _quantile(values: Float64s, share: float) -> float:
    """As `numpy.quantile`, to the last bit, of finite numbers: its general machinery takes longer than the matching."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    step, part = ordered[high] - ordered[low], place - low
    return float(ordered[high] - step * (1 - part) if part >= 0.5 else ordered[low] + step * part)


def partners(x: Float64s, y: Float64s, wanted: Int64s | None = None) -> Int64s:
    """(units of y,) the unit of x nearest to each, if it is so both ways; -1 where not.

    Args:
        wanted: units of y that are asked about, all by default; -1 for the others.
    """
    partner = np.full(len(y), -1)
    if not len(x) or not len(y):
        return partner
    if wanted is None or 2 * len(wanted) > len(y):
        left, right = each_other(*closest(x, y))
        partner[right] = left
        if wanted is not None:
            partner[np.setdiff1d(np.arange(len(y)), wanted)] = -1
        return partner
    there = closest(x, y[wanted])[1]
    back = closest(x[there.which], y)[0]
    found = (back.which == wanted) & (there.distance < np.inf)
    partner[wanted[found]] = there.which[found]
    return partner
