"""Permanents of many small non-negative matrices: exact sums over all relabellings of a block.

For a uniformly random permutation s of n units, E[exp(sum_i a(i, s(i)))] = perm(exp(a)) / n!.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kinprint.compiled import compiled

TINY = 1e-280
"""Permanents of scaled matrices below this are reported as this: rounding to zero must never make a p-value smaller."""

LANES = 8
"""Matrices whose sums are added up side by side."""


@compiled()
def placements(logs: NDArray[np.float64], count: int, entries: NDArray[np.float64], sums: NDArray[np.float64]) -> float:
    """log of the permanent of exp(logs[:count, :count]), by the sums over all ways to place the first rows in each subset.

    Sums over subsets of columns row by row, 2^n n / 2 multiplications. All terms are positive, so unlike Ryser's formula
    nothing cancels. Rows are scaled by their largest entry; an empty row gives -inf. Never below the truth.

    Args:
        logs: entries may be -inf.
        entries: filled with exp(logs), every row divided by its largest entry.
        sums: (at least 2^count) filled with, for each subset of columns, the permanent of the first rows in these columns.
    """
    scale = 0.0
    for i in range(count):
        largest = logs[i, 0]
        for j in range(1, count):
            largest = logs[i, j] if logs[i, j] > largest else largest
        scale += largest
        for j in range(count):
            entries[i, j] = math.exp(logs[i, j] - largest) if largest > -math.inf else 0.0
    sums[0] = 1.0
    for subset in range(1, 1 << count):
        row = -1  # row i is placed with the (i+1)-th column of the subset
        rest = subset
        while rest:
            rest &= rest - 1
            row += 1
        total = 0.0
        for j in range(count):
            if subset >> j & 1:
                total += entries[row, j] * sums[subset ^ (1 << j)]
        sums[subset] = total
    whole = sums[(1 << count) - 1] if sums[(1 << count) - 1] > TINY else TINY
    return scale + math.log(whole) if scale > -math.inf else -math.inf


def log_permanents(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """log perm(exp(logs)) for each of (count, n, n) matrices, n at most 8 or so (`placements`)."""
    count, n = logs.shape[:2]
    result = np.empty(count)
    _abreast(np.ascontiguousarray(logs), result, np.zeros(LANES), np.zeros((n, n, LANES)), np.empty((1 << n, LANES)))
    return result


@compiled()
def _abreast(
    logs: NDArray[np.float64],
    result: NDArray[np.float64],
    scales: NDArray[np.float64],
    entries: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Fill `result` with what `placements` gives for each matrix, to the last bit: the same sums, of LANES matrices in one
    vector instruction. The last three are to work on."""
    count, n = logs.shape[0], logs.shape[1]
    for first in range(0, count, LANES):
        lanes = LANES if first + LANES < count else count - first
        for item in range(lanes):
            scales[item] = 0.0
            for i in range(n):
                largest = logs[first + item, i, 0]
                for j in range(1, n):
                    largest = logs[first + item, i, j] if logs[first + item, i, j] > largest else largest
                scales[item] += largest
                for j in range(n):
                    entries[i, j, item] = math.exp(logs[first + item, i, j] - largest) if largest > -math.inf else 0.0
        for lane in range(LANES):
            sums[0, lane] = 1.0
        for subset in range(1, 1 << n):
            row = -1
            rest = subset
            while rest:
                rest &= rest - 1
                row += 1
            for lane in range(LANES):
                sums[subset, lane] = 0.0
            for j in range(n):
                if subset >> j & 1:
                    for lane in range(LANES):
                        sums[subset, lane] += entries[row, j, lane] * sums[subset ^ (1 << j), lane]
        for item in range(lanes):
            whole = sums[(1 << n) - 1, item] if sums[(1 << n) - 1, item] > TINY else TINY
            result[first + item] = scales[item] + math.log(whole) if scales[item] > -math.inf else -math.inf
