"""Which pairs of very many models may be relatives at all, by vectors of each: the others are not tested.

The tests of all pairs take time that grows with the square of the number of models. Where there are more than `EVERY_PAIR`, a
pair is tested only if

- its index vectors lie near each other in one space at least; or
- a closer look at its neurons (`kinprint.library.trees.closer`) finds them alike, more so than models usually are among these,
  and one model is among the most alike to the other. Models that can be looked at so are not judged by `forms`, which sees less
  of the same, and sees the distribution that many large models share; or
- the two models have nothing in common to compare.

This takes tests away and changes no p-value, so strangers are joined no more often. What it costs is relatives that no vector
shows, unless others join them: `benchmarks/near_pairs.py` counts them.
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
"""Standard deviations of strangers' cosines, which are 1 / sqrt(dimensions), from which a pair is tested: of random vectors one
pair in eight thousand lies as near."""

NEAR_UNSEEN = 3.0
"""The same where neurons cannot be looked at closer: a few strangers in a hundred lie as near in one of the spaces."""

ALIKE = 5.0
"""The same, of a closer look."""

USUAL = 2.0
"""How many times the lower quartile of a model's similarities another has to reach: models of one recipe may all be alike."""

FEW = 16
"""Models below which there is no saying what is usual."""

MOST_ALIKE = 4
"""Models that are tested because of one look, for each model."""


def near(vectors: Sequence[Mapping[str, Vector]], looked: Sequence[Float32s | None]) -> NDArray[np.bool_]:
    """(models, models) whether a pair is to be tested.

    Args:
        vectors: of every model, by space (`kinprint.library.vectors`).
        looked: of every model, the vectors of `closer`, or None.
    """
    anywhere, alike = strongest(vectors), similarities(looked)
    seen = np.isfinite(alike).all(axis=0)
    beside = strongest([{space: vector for space, vector in own.items() if space != "forms"} for own in vectors])
    pairs = np.where(seen, beside >= NEAR, (anywhere >= NEAR_UNSEEN) | np.isneginf(anywhere))
    for look in alike:
        of_one = _most_alike(look)
        pairs |= of_one | of_one.T
    return np.asarray(pairs)


def _most_alike(look: Float64s) -> NDArray[np.bool_]:
    """(models, models) whether the second model is one of the most alike to the first, and more than is usual for it."""
    others = look.copy()
    np.fill_diagonal(others, np.nan)
    chosen = np.zeros(look.shape, bool)
    for model, row in enumerate(others):
        known = np.flatnonzero(np.isfinite(row))
        if len(known):
            enough = max(ALIKE, USUAL * float(np.quantile(row[known], 0.25)) if len(known) >= FEW else ALIKE)
            most = known[np.argsort(-row[known], kind="stable")][:MOST_ALIKE]
            chosen[model, most] = row[most] >= enough
    return chosen


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
