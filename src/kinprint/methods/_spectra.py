"""Layers compared by their singular values, as GhostSpec compares them (arXiv 2511.06390)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.methods._by_layer import by_layer
from kinprint.statistics import posa

Spectra = Mapping[str, Float64s]
"""Kind of spectrum -> (layers, k), each row descending; rows that are not finite or hold only zeros count as absent."""

MIDDLE = 0.027
"""Distance of similarity 1/2. The paper's is not known here; this one gives figures like its own on released models."""

STEEPNESS = math.log(0.9761 / 0.0239) / MIDDLE
"""From 0.9761, what the paper gives for copies: the largest similarity there is."""


@dataclass(frozen=True)
class Layers:
    """Which layers of two models correspond, and how far they are apart.

    Attributes:
        pairs: (reference layer, suspect layer).
        distances: kind -> (pairs,) distances of the layers of each pair.
        distance: mean over layers and kinds; a layer of the shallower model without a counterpart counts with the gap penalty.
    """

    pairs: tuple[tuple[int, int], ...]
    distances: dict[str, Float64s]
    distance: float


def effective_rank(values: Float64s) -> float:
    """exp(-sum p log p) with p = values / sum; values >= 0 and not all zero."""
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def spectral_distance(a: Float64s, b: Float64s, rank: int) -> float:
    """Mean squared difference of the first `rank` values of each, divided by their mean.

    How the paper normalises is not known here. Divided by their mean, spectra of any length and scale are comparable; by
    their largest value, they would differ by little else where one value stands out, as it does in first layers.
    """
    x, y = a[:rank] / a[:rank].mean(), b[:rank] / b[:rank].mean()
    return float(np.mean((x - y) ** 2))


def similarity(distance: float) -> float:
    """1 - 1 / (1 + exp(-STEEPNESS (distance - MIDDLE))): 0.9761 at distance 0, 1/2 at MIDDLE, 0 far away."""
    return 1 / (1 + math.exp(min(STEEPNESS * (distance - MIDDLE), 700.0)))


class _Side:
    """The spectra of one kind of one model, at the length that both models have."""

    def __init__(self, spectra: Float64s, length: int) -> None:
        self.values = np.asarray(spectra[:, :length], dtype=np.float64)
        self.present = np.isfinite(self.values).all(axis=1) & (self.values.sum(axis=1) > 0)
        self.ranks = [effective_rank(row) if kept else 0.0 for row, kept in zip(self.values, self.present, strict=True)]


def correspond(reference: Spectra, suspect: Spectra) -> Layers:
    """Layer by layer where the models are equally deep, else by the alignment of least distance (`kinprint.statistics.posa`).

    The spectra of two layers are cut to the smaller of their effective ranks, rounded down.

    Raises:
        NotApplicable: they have no kind of spectrum in common, or no layer of one of them has all of these.
    """
    names = [name for name in reference if name in suspect]
    if not names:
        raise NotApplicable("the two models have no spectra in common")
    lengths = {name: min(reference[name].shape[1], suspect[name].shape[1]) for name in names}
    ours, theirs = ({name: _Side(model[name], lengths[name]) for name in names} for model in (reference, suspect))
    rows, columns = (np.flatnonzero(np.all([side.present for side in sides.values()], axis=0)) for sides in (ours, theirs))
    equal = len(reference[names[0]]) == len(suspect[names[0]])
    pairs = [(int(i), int(j)) for i in rows for j in columns if i == j or not equal]
    if not pairs:
        raise NotApplicable("no layer of both models has spectra that are finite and not zero")

    def distance(name: str, i: int, j: int) -> float:
        a, b = ours[name], theirs[name]
        return spectral_distance(a.values[i], b.values[j], max(int(min(a.ranks[i], b.ranks[j])), 1))

    each = {name: np.array([distance(name, i, j) for i, j in pairs]) for name in names}
    joint = np.mean(list(each.values()), axis=0)
    if equal:
        return Layers(tuple(pairs), each, float(joint.mean()))
    alignment = posa.align(joint.reshape(len(rows), len(columns)))
    chosen = [i * len(columns) + j for i, j in alignment.pairs]
    return Layers(tuple(pairs[n] for n in chosen), {name: values[chosen] for name, values in each.items()}, alignment.cost)


def by_suspect_layer(layers: Layers, depth: int) -> tuple[float, ...]:
    """Similarity of every suspect layer to its partner; NaN where it has none."""
    each = zip(*layers.distances.values(), strict=True)
    return by_layer({j: similarity(float(np.mean(values))) for (_, j), values in zip(layers.pairs, each, strict=True)}, depth)
