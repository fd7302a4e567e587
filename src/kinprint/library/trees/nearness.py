"""Which pairs of very many models may be relatives at all, by their index vectors: the others are not tested.

The tests of all pairs take time that grows with the square of the number of models. Where there are more than `EVERY_PAIR`, a
pair is tested only if its vectors lie near each other in one space at least, or if the two models have no space in common.
This takes tests away and changes no p-value, so strangers are joined no more often. What it costs is relatives that no vector
shows, as in `identify`, unless others join them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import Vector

EVERY_PAIR = 64
"""Models up to which every pair is tested."""

NEAR = 3.0
"""Standard deviations of strangers' cosines, which are 1 / sqrt(dimensions), from which a pair is tested: a few strangers in a
hundred lie as near in one of the spaces."""


def near(vectors: Sequence[Mapping[str, Vector]]) -> NDArray[np.bool_]:
    """(models, models) whether a pair is to be tested.

    Args:
        vectors: of every model, by space (`kinprint.library.vectors`).
    """
    count = len(vectors)
    strongest, comparable = np.full((count, count), -np.inf), np.zeros((count, count), bool)
    for space, dimensions in DIMENSIONS.items():
        known = [number for number, of_model in enumerate(vectors) if space in of_model]
        if known:
            pairs = np.ix_(known, known)
            unit = np.stack([vectors[number][space] for number in known]).astype(np.float64)
            strongest[pairs] = np.maximum(strongest[pairs], unit @ unit.T * math.sqrt(dimensions))
            comparable[pairs] = True
    return (strongest >= NEAR) | ~comparable
