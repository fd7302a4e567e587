"""Which layers of two models are compared with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.matching.nearest import Units, nearest
from kinprint.statistics.alignment import layers_in_order

LAYERS = 16
"""Layers of the suspect that are compared, evenly chosen."""

SEEDS = 256
"""Neurons of each layer that align layers."""


def evenly(count: int, most: int) -> Int64s:
    """`most` of the numbers from 0 to count - 1, evenly spread, first and last among them; all if there are no more."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def aligned(ours: Float64s, theirs: Float64s, shown: NDArray[np.int64], depth: int) -> list[int]:
    """Reference layer of each suspect layer: by number in models of equal depth, else by how well their heaviest neurons match.

    Args:
        ours, theirs: (layers, neurons, features) of the reference, and of the suspect's layers `shown`.
        depth: of the suspect.
    """
    if len(ours) == depth:
        return [int(layer) for layer in shown]
    seeds, others = ([Units.of(layer[:SEEDS]) for layer in side] for side in (ours, theirs))
    scores = np.array([[nearest(x, y)[2].sum() for y in others] for x in seeds])
    return layers_in_order(scores, deeper=depth > len(ours))


def once(
    partners: dict[int, int], fit: dict[int, float], copies: Callable[[tuple[int, ...]], NDArray[np.bool_]]
) -> dict[int, int]:
    """The pairs of layers to test: each reference layer once, by its best match, and none that is a copy of another.

    Copies of a layer (depth up-scaling, looped models) are one fact: in one of the models every layer must be there once.

    Args:
        partners: suspect layer -> reference layer.
        fit: how well each suspect layer matches its partner, by nothing that is tested.
        copies: of some layers of the reference, in ascending order, which are copies of which: (layers, layers).
    """
    best: dict[int, int] = {}
    for j, i in partners.items():
        if i not in best or fit[j] > fit[best[i]]:
            best[i] = j
    among = tuple(sorted(best))
    alike = copies(among)
    kept: list[int] = []
    for number in range(len(among)):
        if not alike[number, kept].any():
            kept.append(number)
    tested = [among[number] for number in kept]
    return {best[i]: i for i in sorted(tested, key=lambda i: best[i])}


def pairwise(layers: Sequence[int], likeness: Callable[[Sequence[int], int], Sequence[float]]) -> Float64s:
    """(layers, layers) how alike a layer is to each before it; the others are not asked about, and have 0.

    Args:
        likeness: of some layers to a later one.
    """
    found = np.zeros((len(layers), len(layers)))
    for number, layer in enumerate(layers[1:], 1):
        found[number, :number] = likeness(layers[:number], layer)
    return found
