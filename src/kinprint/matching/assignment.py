"""Units of two models matched one to one by assignment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kinprint.arrays import Float64s, Int64s
from kinprint.compiled import compiled

MOST = 4096
"""Neurons of a layer that are matched. The time of an assignment grows with their cube: 1.7 s at this size."""


FEW = 4096
"""So many tables take scipy some hundredths of a second: less than to compile a loop over them."""


def heaviest(matrix: NDArray[np.float32], most: int = MOST) -> Int64s:
    """Rows of the largest norm, ascending: all if there are no more than `most`. Looks at no label."""
    if len(matrix) <= most:
        return np.arange(len(matrix))
    return np.sort(np.argpartition(-np.linalg.norm(matrix, axis=1), most)[:most])


def assignment(similarity: NDArray[np.floating]) -> Int64s:
    """Units matched one to one so that the summed similarity is largest.

    Args:
        similarity: (units, units) of one model by those of another; NaN counts as 0.

    Returns:
        For every unit of the side with fewer units (of the first, if equal) its match on the other side.
    """
    wide = similarity if similarity.shape[0] <= similarity.shape[1] else similarity.T
    return np.asarray(linear_sum_assignment(np.nan_to_num(wide), maximize=True)[1], dtype=np.int64)


def assignments(costs: Float64s) -> Int64s:
    """Of many small square tables (tables, n, n) of finite costs, (tables, n) the column of each row so that the sum is least.

    Shortest augmenting paths with potentials (Kuhn, 1955; Jonker and Volgenant, 1987). scipy's `linear_sum_assignment` takes
    as long to be called as a table of four by four takes here.
    """
    tables, n = costs.shape[:2]
    found = np.empty((tables, n), np.int64)
    if tables <= FEW:
        for table, columns in zip(costs, found, strict=True):
            columns[:] = linear_sum_assignment(table)[1]
        return found
    _assign(np.ascontiguousarray(costs), found, np.empty((3, n + 1)), np.empty((3, n + 1), np.int64))
    return found


@compiled()
def _assign(costs: Float64s, found: Int64s, reals: Float64s, places: Int64s) -> None:
    """Fill `found`, with memory to work on."""
    tables, n = found.shape
    by_row, by_column, slack = reals[0], reals[1], reals[2]
    owner, before, visited = places[0], places[1], places[2]
    for table in range(tables):
        for j in range(n + 1):  # rows and columns count from 1; column 0 is where a path begins
            by_row[j] = by_column[j] = 0.0
            owner[j] = 0
        for row in range(1, n + 1):
            owner[0], column = row, 0
            for j in range(n + 1):
                slack[j] = np.inf
                visited[j] = 0
            while owner[column]:
                visited[column] = 1
                current, least, next_column = owner[column], np.inf, 0
                for j in range(1, n + 1):
                    if not visited[j]:
                        reduced = costs[table, current - 1, j - 1] - by_row[current] - by_column[j]
                        if reduced < slack[j]:
                            slack[j], before[j] = reduced, column
                        if slack[j] < least:
                            least, next_column = slack[j], j
                for j in range(n + 1):
                    if visited[j]:
                        by_row[owner[j]] += least
                        by_column[j] -= least
                    else:
                        slack[j] -= least
                column = next_column
            while column:
                owner[column] = owner[before[column]]
                column = before[column]
        for j in range(1, n + 1):
            found[table, owner[j] - 1] = j - 1


def paired_layers(similarity: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Layers matched by assignment, each (of the rows, of the columns), by ascending column."""
    rows, columns = linear_sum_assignment(np.nan_to_num(similarity), maximize=True)
    return sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda pair: pair[1])
