"""Which pairs of very many models may be relatives at all, by vectors of each: the others are not tested.

The tests of all pairs take time that grows with the square of the number of models. Where there are more than `EVERY_PAIR`,
a pair is tested only if its index vectors lie near each other in one space at least, if a closer look at its neurons
(`kinprint.library.trees.closer`) finds them alike and one model among the most alike to the other, or if the two models
have no space in common. This takes tests away and changes no p-value, so strangers are joined no more often. What it costs
is relatives that no vector shows, unless others join them: `benchmarks/near_pairs.py` counts them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float32s, Float64s
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.trees.closer import similarities
from kinprint.library.vectors import Vector

EVERY_PAIR = 64
"""Models up to which every pair is tested."""

NEAR = 4.0
"""Standard deviations of strangers' cosines, which are 1 / sqrt(dimensions), from which a pair is tested: of random vectors
of all spaces one pair of six thousand lies as near."""

NEAR_UNSEEN = 3.0
"""The same where neurons cannot be looked at closer: a few strangers in a hundred lie as near."""

ALIKE = 5.0
"""The same, of the closer look."""

MOST_ALIKE = 4
"""Models that are tested because of the closer look, for each: where all models of a recipe look alike, that bounds their
number."""


def near(vectors: Sequence[Mapping[str, Vector]], looked: Sequence[Float32s | None]) -> NDArray[np.bool_]:
    """(models, models) whether a pair is to be tested.

    Args:
        vectors: of every model, by space (`kinprint.library.vectors`).
        looked: of every model, the vector of `closer`, or None.
    """
    strength, alike = strongest(vectors), similarities(looked)
    np.fill_diagonal(alike, np.nan)
    pairs = np.where(np.isnan(alike), strength >= NEAR_UNSEEN, strength >= NEAR) | np.isneginf(strength)
    alike = np.where(alike >= ALIKE, alike, -np.inf)
    of_one = (np.argsort(np.argsort(-alike, axis=1), axis=1) < MOST_ALIKE) & np.isfinite(alike)
    return np.asarray(pairs | of_one | of_one.T)


def strongest(vectors: Sequence[Mapping[str, Vector]]) -> Float64s:
    """(models, models) the largest cosine of a pair in standard deviations of strangers'; -inf without a common space."""
    count = len(vectors)
    found = np.full((count, count), -np.inf)
    for space, dimensions in DIMENSIONS.items():
        known = [number for number, of_model in enumerate(vectors) if space in of_model]
        if known:
            pairs = np.ix_(known, known)
            unit = np.stack([vectors[number][space] for number in known]).astype(np.float64)
            found[pairs] = np.maximum(found[pairs], unit @ unit.T * math.sqrt(dimensions))
    return found
