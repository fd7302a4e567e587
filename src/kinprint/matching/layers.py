"""Which layers of two models are compared with each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.matching.nearest import nearest
from kinprint.statistics.alignment import layers_in_order

LAYERS = 16
"""Layers of the suspect that are compared, evenly chosen."""

SEEDS = 256
"""Neurons of each layer that align layers."""


def evenly(count: int, most: int) -> Int64s:
    """`most` of the numbers from 0 to count - 1, evenly spread, first and last among them; all if there are no more."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def compared(values: Float64s) -> NDArray[np.int64]:
    """Which layers of a suspect (layers, neurons, features) are compared, of those that have neurons."""
    layers = np.flatnonzero(np.isfinite(values).any(axis=(1, 2)))
    if not len(layers):
        raise NotApplicable("no layer of the suspect has finite neurons")
    return np.asarray(layers[evenly(len(layers), LAYERS)])


def aligned(ours: Float64s, theirs: Float64s, shown: NDArray[np.int64], depth: int) -> list[int]:
    """Reference layer of each suspect layer: by number in models of equal depth, else by how well their heaviest neurons match.

    Args:
        ours, theirs: (layers, neurons, features) of the reference, and of the suspect's layers `shown`.
        depth: of the suspect.
    """
    if len(ours) == depth:
        return [int(layer) for layer in shown]
    scores = np.array([[nearest(x[:SEEDS], y[:SEEDS])[2].sum() for y in theirs] for x in ours])
    return layers_in_order(scores, deeper=depth > len(ours))


def once(partners: dict[int, int], fit: dict[int, float], copies: Callable[[int, int], bool]) -> dict[int, int]:
    """The pairs of layers to test: each reference layer once, by its best match, and none that is a copy of another.

    Copies of a layer (depth up-scaling, looped models) are one fact: in one of the models every layer must be there once.

    Args:
        partners: suspect layer -> reference layer.
        fit: how well each suspect layer matches its partner, by nothing that is tested.
        copies: whether two layers of the reference are copies of each other.
    """
    best: dict[int, int] = {}
    for j, i in partners.items():
        if i not in best or fit[j] > fit[best[i]]:
            best[i] = j
    kept: list[int] = []
    for i in sorted(best):
        if not any(copies(other, i) for other in kept):
            kept.append(i)
    return {best[i]: i for i in sorted(kept, key=lambda i: best[i])}
