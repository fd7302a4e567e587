"""Units of two models that are nearest to each other, both ways: by features, no label is looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s


def distances(x: Float64s, y: Float64s) -> Float64s:
    """(units of x, units of y) squared distances of their features; what is not finite is infinitely far from everything."""
    squares = (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)
    return np.where(np.isfinite(squares), squares, np.inf)


def mutual(distance: NDArray[np.floating]) -> tuple[Int64s, Int64s]:
    """Rows and columns of a table of distances that are each other's nearest; what is infinitely far has no nearest."""
    column, row = distance.argmin(axis=1), distance.argmin(axis=0)
    left = np.flatnonzero((row[column] == np.arange(len(distance))) & (distance.min(axis=1) < np.inf))
    return left, column[left]


def nearest(ours: Float64s, theirs: Float64s) -> tuple[Int64s, Int64s, Float64s]:
    """Neurons nearest to each other both ways, and by how much the second nearest is farther, up to the 90 % quantile."""
    distance = distances(ours, theirs)
    left, right = mutual(distance)
    if not len(left) or min(distance.shape) < 2:
        return left, right, np.zeros(len(left))
    margins = [np.partition(rows, 1, axis=1)[:, 1] - rows.min(axis=1) for rows in (distance[left], distance[:, right].T)]
    margin = np.nan_to_num(np.minimum(*margins), posinf=0.0)
    return left, right, np.minimum(margin, np.quantile(margin, 0.9))


def partners(x: Float64s, y: Float64s) -> Int64s:
    """(units of y,) the unit of x nearest to each, if it is so both ways; -1 where not."""
    left, right = mutual(distances(x, y))
    partner = np.full(len(y), -1)
    partner[right] = left
    return partner
