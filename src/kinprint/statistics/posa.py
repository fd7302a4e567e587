"""POSA, the penalised optimal sequence alignment of GhostSpec (arXiv 2511.06390): which layers of two models correspond."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kinprint.arrays import Float64s


class Aligned(NamedTuple):
    """What was aligned.

    Attributes:
        pairs: (reference layer, suspect layer) in ascending order of both.
        cost: mean over the layers of the shallower model: the distance of its pair, or the gap penalty if it has none.
    """

    pairs: tuple[tuple[int, int], ...]
    cost: float


def align(distances: Float64s) -> Aligned:
    """The monotone alignment of least cost, where leaving a layer out costs a gap penalty.

    Chosen here: the penalty is the median distance of all pairs of layers, so that a pair is given up only if it is more than
    twice as far apart as layers are in general; and the layers that the deeper model has to leave out, whatever the
    alignment, do not enter the cost that is returned.

    Args:
        distances: (reference layers, suspect layers), finite, not negative; at least one of each.
    """
    rows, columns = distances.shape
    gap = float(np.median(distances))
    best = gap * np.add.outer(np.arange(rows + 1.0), np.arange(columns + 1.0))
    for i in range(rows):
        for j in range(columns):
            best[i + 1, j + 1] = min(best[i, j] + distances[i, j], best[i, j + 1] + gap, best[i + 1, j] + gap)
    i, j, pairs = rows, columns, []
    while i and j:
        if best[i, j] == best[i - 1, j - 1] + distances[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i, j] == best[i - 1, j] + gap:
            i -= 1
        else:
            j -= 1
    unpaired = min(rows, columns) - len(pairs)
    total = sum(float(distances[pair]) for pair in pairs) + gap * unpaired
    return Aligned(tuple(reversed(pairs)), total / min(rows, columns))
