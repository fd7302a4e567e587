"""Distances between relatives that grow with training.

By weights (`by_position`): 1 - cosine, from entries that fingerprints sample at the same places, averaged over roles. As far as
what training adds is orthogonal to what was there before and to what other training adds, small distances add up along lines of
descent, which neighbour joining needs. Shrinking all weights changes no cosine.

By neurons (`NeuronDistances`): 1 - correlation of what no disguise changes, over matched neurons (METHODS, 2a). It sees copies
whose units were relabelled, rotated, rescaled or resized. It grows with training too, but does not add up.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kinprint.arrays import Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, EVEN, ODD
from kinprint.matching.forms import described_by, forms_of, one_expert
from kinprint.matching.layers import LAYERS, aligned, evenly
from kinprint.matching.nearest import nearest
from kinprint.statistics.alignment import layers_in_order

AGREES = 6.0
"""Standard errors of strangers' cosines above which weights of a role are taken to stand at the same places in both models."""

NEURONS = 512
"""Heaviest neurons of each layer that are matched."""

OUTSIDE = ("embedding", "head", "router")
"""Roles that are not compared: vocabularies differ, routers begin anew where experts are made of a FFN."""


@dataclass(frozen=True)
class Positions:
    """Sums over sampled entries of two models at the same places, layers aligned.

    Attributes:
        sums: role -> (positions, 3) float64: x y, x x and y y, summed over layers.
    """

    sums: dict[str, Float64s]

    @cached_property
    def distance(self) -> float:
        """1 - cosine, averaged over roles."""
        return float(self.resampled({role: np.ones((1, len(sums))) for role, sums in self.sums.items()})[0])

    def resampled(self, weights: Mapping[str, Float64s]) -> Float64s:
        """(replicates,) the distance with every position counted as often as it was drawn.

        Args:
            weights: role -> (replicates, positions).
        """
        totals = [weights[role] @ sums for role, sums in self.sums.items()]
        cosines = [total[:, 0] / np.sqrt(np.maximum(total[:, 1] * total[:, 2], 1e-300)) for total in totals]
        return np.asarray(np.clip(1 - np.mean(cosines, axis=0), 0.0, None))


@dataclass(frozen=True)
class Sampled:
    """The sampled entries of one model, by role, of the roles that are the same in every layer.

    Attributes:
        depth: number of layers.
        shapes: role -> rows and columns of one matrix, and sampled entries.
        entries: role -> (layers, positions) float64; entries that are absent count for nothing.
    """

    depth: int
    shapes: Mapping[str, tuple[object, ...]]
    entries: Mapping[str, Float64s]

    @classmethod
    def of(cls, model: Fingerprint) -> Sampled:
        shapes = _shapes(model)
        return cls(model.layers or 0, shapes, {role: _sample(model, role) for role in shapes})


def by_position(first: Fingerprint, second: Fingerprint) -> Positions | None:
    """As `compared_by_position`, of two fingerprints."""
    return compared_by_position(Sampled.of(first), Sampled.of(second))


def compared_by_position(first: Sampled, second: Sampled) -> Positions | None:
    """Two models of one form compared weight by weight; None of two forms.

    One form: the same roles, matrices of the same shapes, and in every role weights that agree far more than strangers' do.
    Numbers of layers and of experts may differ: positions depend on role and shape of a single matrix alone, and layers are
    aligned by the weights themselves.
    """
    a, b = (first, second) if first.depth >= second.depth else (second, first)
    if not a.shapes or a.shapes != b.shapes:
        return None
    samples = {role: (a.entries[role], b.entries[role]) for role in a.shapes}
    layers = _layers(list(samples.values()))
    sums = {}
    for role, (x, y) in samples.items():
        x = x[layers]
        sums[role] = np.stack([(x * y).sum(axis=0), (x * x).sum(axis=0), (y * y).sum(axis=0)], axis=-1)
        xy, xx, yy = sums[role].sum(axis=0)
        if xx * yy == 0 or xy / np.sqrt(xx * yy) * np.sqrt(np.count_nonzero(x * y)) <= AGREES:
            return None
    return Positions(sums)


def draws(positions: Mapping[str, int], replicates: int) -> dict[str, Float64s]:
    """Bootstrap: how often each position is drawn, the same for all pairs of models (Felsenstein, Evolution 1985).

    Args:
        positions: role -> how many positions there are.

    Returns:
        role -> (replicates, positions) float64.
    """
    counts = {}
    for role, count in positions.items():
        random = np.random.default_rng(zlib.crc32(role.encode()))
        counts[role] = random.multinomial(count, np.full(count, 1 / count), replicates).astype(np.float64)
    return counts


def _shapes(model: Fingerprint) -> dict[str, tuple[object, ...]]:
    """Role -> rows and columns of one matrix, and sampled entries, of the roles that are the same in every layer."""
    sampled: dict[str, tuple[object, ...]] = {}
    for role, layers in model.stated.shapes.items():
        trait = model.traits.get(f"sample.{role}")
        if trait is None or role in OUTSIDE or len(trait) != model.layers:
            continue
        sizes = {shape[-2:] for shape in layers if shape is not None}
        if len(sizes) == 1:
            sampled[role] = (*sizes.pop(), trait.shape[-1])
    return sampled


def _sample(model: Fingerprint, role: str) -> Float64s:
    """(layers, positions); entries that are absent count for nothing."""
    return np.nan_to_num(np.asarray(model.traits[f"sample.{role}"], dtype=np.float64))


def _layers(samples: Sequence[tuple[Float64s, Float64s]]) -> list[int]:
    """Layer of the deeper model for each layer of the other: by number if equally deep, else by the weights."""
    depth, shallower = len(samples[0][0]), len(samples[0][1])
    if depth == shallower:
        return list(range(depth))
    scores = np.zeros((depth, shallower))
    for x, y in samples:
        ours, theirs = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-30) for side in (x, y))
        scores += ours @ theirs.T
    return layers_in_order(scores, deeper=False)


class NeuronDistances:
    """Distances of models by their matched neurons, whatever was done to the form of the weights."""

    def __init__(self, models: Sequence[Fingerprint]) -> None:
        """Describes the neurons of every model by the invariants that all models have."""
        forms = [forms_of(model)[:, :NEURONS] for model in models if "neurons.forms" in model.traits]
        known = [np.isfinite(values).any(axis=(0, 1)) for values in forms]
        finite = np.all(known, axis=0) if known else np.zeros(len(COLUMNS), bool)
        even, odd = ([column for column in columns if finite[column]] for columns in (EVEN, ODD))
        self._described = [_described(model, even, odd) if even else None for model in models]

    def distance(self, a: int, b: int) -> float | None:
        """1 - correlation of invariants over matched neurons; None where nothing can be matched."""
        deeper, shallower = self._described[a], self._described[b]
        if deeper is None or shallower is None:
            return None
        if len(deeper) < len(shallower):
            deeper, shallower = shallower, deeper
        shown = evenly(len(shallower), LAYERS)
        layers = aligned(deeper, shallower[shown], shown, len(shallower))
        product = size = 0.0
        for i, j in zip(layers, shown, strict=True):
            left, right, _ = nearest(deeper[i], shallower[j])
            x, y = deeper[i, left], shallower[j, right]
            product += float((x * y).sum())
            size += float((x**2).sum() + (y**2).sum()) / 2
        return max(1 - product / size, 0.0) if size else None


def _described(model: Fingerprint, even: list[int], odd: list[int]) -> Float64s | None:
    """(layers, neurons, features) of the layers that have neurons; None if none has."""
    if "neurons.forms" not in model.traits:
        return None
    forms = one_expert(forms_of(model)[:, :NEURONS])
    described = described_by(forms, even, odd)
    described = described[np.isfinite(described).any(axis=(1, 2))]
    return described if len(described) else None
