"""Units of two models matched one to one by assignment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kinprint.arrays import Int64s

MOST = 4096
"""Neurons of a layer that are matched. The time of an assignment grows with their cube: 1.7 s at this size."""


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


def paired_layers(similarity: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Layers matched by assignment, each (of the rows, of the columns), by ascending column."""
    rows, columns = linear_sum_assignment(np.nan_to_num(similarity), maximize=True)
    return sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda pair: pair[1])
