"""What the exchangeability tests share: features to evidence, and the matching of units where widths differ."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.kept import kept
from kinprint.matching.nearest import Units, partners
from kinprint.methods._method import Finding, SingleLayers
from kinprint.statistics import (
    ExchangeabilityResult,
    RelabellingGroup,
    exchangeability_test_of_scores,
    normal_scores,
    single_layer_tests,
)
from kinprint.statistics.copies import Ranked, agreements_across, as_they_are, clones, linked_layers
from kinprint.statistics.exchangeability import BLOCKS_OF_A_PAIR
from kinprint.statistics.label_checks import LabelCheck, label_checks
from kinprint.statistics.neighbourhoods import BLOCK, WINDOW, Neighbours
from kinprint.statistics.normal_scores import whiten

ATTAINABLE = -7.0
"""A test whose smallest possible log10 p is above this could never decide, so it does not take part."""

TOLD = -4.0
"""log10 p from which an order among a model's labels is told."""

NEAR = 1.25
"""Neighbours of the wider model are as many labels apart as those in one window of the narrower, times this."""


def known_layers(*models: NDArray[np.floating]) -> int:
    """Layers that can be compared: of the model (layers, units, ...) that has fewer layers with anything in them."""
    return min(int(np.isfinite(model).reshape(len(model), -1).any(axis=1).sum()) for model in models)


def require_attainable(structure: RelabellingGroup, layers: int, units: str) -> None:
    """Raise NotApplicable if so few relabellings exist that no p-value could be small."""
    smallest = -layers * structure.log10_relabellings()
    if smallest > ATTAINABLE:
        least = "1" if smallest > -1 else f"1e{math.ceil(smallest)}"
        raise NotApplicable(f"too few {units} ({structure.units} in {layers} layers): no p-value can be below {least}")


def both_scores(reference: NDArray[np.floating], suspect: NDArray[np.floating]) -> tuple[Float64s, Float64s]:
    """Normal scores of the features (last axis) that both models have for some unit; rows of NaN where there is no unit."""
    ours, theirs = in_common(reference, suspect)
    return scores_of(ours), scores_of(theirs)


def in_common(reference: NDArray[np.floating], suspect: NDArray[np.floating]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The features (last axis) that both models have for some unit."""
    common = np.isfinite(reference).any(axis=(0, 1)) & np.isfinite(suspect).any(axis=(0, 1))
    if not common.any():
        raise NotApplicable("the two models have no feature in common")
    return (reference, suspect) if common.all() else (reference[..., common], suspect[..., common])


def scores_of(features: NDArray[np.floating]) -> Float64s:
    """Normal scores of features (layers, units, features); rows of NaN where there is no unit."""
    scores = normal_scores(np.where(np.isfinite(features), features, np.nan))
    scores[~np.isfinite(features).any(axis=-1)] = np.nan
    return scores


def positive(sizes: NDArray[np.floating]) -> Float64s:
    """Norms as float64, NaN where they are zero: what has no length is no unit, and not a small one."""
    wide = np.asarray(sizes, dtype=np.float64)
    return np.where(wide > 0, wide, np.nan)


def oriented(one: Float64s, other: Float64s) -> bool:
    """Whether the second has more layers, or as many and more units: it is then the side that is given, and the first the one
    whose units are relabelled."""
    return other.shape[:2] > one.shape[:2]


def real_units(values: NDArray[np.floating], members: int = 1) -> NDArray[Any]:
    """(layers, units, features) of the units that some layer has: padding in all layers is left out, whole groups of it."""
    there = np.isfinite(values).any(axis=(0, 2)).reshape(-1, members).any(axis=1)
    return values[:, np.repeat(there, members)]


def single_layers_by_label(
    reference: Float64s, suspect: Float64s, structure: RelabellingGroup, neighbours: Neighbours | None = None
) -> SingleLayers:
    """`exchangeability_test` of single layers; which are alike is seen by the labels, so that who picks pairs by that corrects
    for all. Arguments as of `exchangeability_test`."""
    across = agreements_across(whiten(reference), whiten(suspect))
    here, there = (np.asarray(np.isfinite(side).any(axis=(1, 2))) for side in (reference, suspect))
    across = np.where(here[:, None] & there, across, -np.inf)
    chosen = RelabellingGroup(min(structure.groups, BLOCKS_OF_A_PAIR * BLOCK), structure.members)

    def log10_ps(pairs: Sequence[tuple[int, int]]) -> list[float]:
        return [each.log10_p for each in single_layer_tests(reference, suspect, structure, pairs, neighbours)]

    return SingleLayers(lambda layer: across[:, layer], log10_ps, np.where(there, -chosen.log10_relabellings(), 0.0))


def test_by_order(reference: Float64s, suspect: Float64s) -> ExchangeabilityResult:
    """For unequal widths: match units by their features alone, then test whether neighbours stand in one order.

    Each unit of the narrower model is matched to the nearest unit of the other, if that is so both ways. The matching looks at
    no label. Pruning keeps units in order, so of neighbours in the narrower model those matched to units that are neighbours
    too stand in the order of their matches. Compared are only pairs of neighbours on both sides: strangers whose units are
    sorted by one measure agree in the order of units far apart, and hardly of neighbours. Where the narrower model's units are
    sorted, what the measure they are sorted by says of the order inside a block is taken out as well.

    Args:
        reference, suspect: (layers, units, features) normal scores, NaN rows where there is no unit; layers and units may both
            differ.
    """
    if exchanged := oriented(reference, suspect):
        reference, suspect = suspect, reference
    x, y = whiten(reference), whiten(_without_copies(suspect))
    count = y.shape[1]
    reach = NEAR * WINDOW * max(x.shape[1] / count, 1.0)

    ours, theirs = ([Units.of(layer) for layer in side] for side in (x, y))
    measures: dict[int, Float64s | None] = {}  # of a layer of the narrower model, whichever layer it is paired with

    def score(i: int, j: int, grid: Int64s) -> Float64s:
        if j not in measures:
            measures[j] = _sorted_by(np.nan_to_num(y[j]), grid)
        known = grid >= 0
        match = partners(ours[i], theirs[j], grid[known])[grid]
        there = known & (match >= 0)
        apart = match[:, :, None] - match[:, None, :]
        near = there[:, :, None] & there[:, None, :] & (np.abs(apart) <= reach)
        order = np.where(near, np.sign(apart), 0.0).sum(axis=2)
        if (measure := measures[j]) is not None:
            places = np.where(known, measure[grid], np.inf).argsort(axis=1).argsort(axis=1)
            own = np.where(known, places - (known.sum(axis=1, keepdims=True) - 1) / 2, 0.0)
            order -= own * (own * order).sum(axis=1, keepdims=True) / np.maximum((own**2).sum(axis=1, keepdims=True), 1e-9)
        return np.asarray(_along(known)[:, :, None] * order[:, None, :])

    layers = len(x), len(y)
    result = exchangeability_test_of_scores(score, layers, count)
    return result if not exchanged else replace(result, layer_map=inverted(result.layer_map, layers[0]), layers=())


def _along(known: NDArray[np.bool_]) -> Float64s:
    """(blocks, size) from -1 to 1 along the units of each block, 0 in a block of one."""
    steps = known.sum(axis=1, keepdims=True) - 1
    return np.where(steps > 0, np.arange(known.shape[1]) * (2 / np.maximum(steps, 1)) - 1, 0.0)


def _sorted_by(y: Float64s, grid: NDArray[np.int64]) -> Float64s | None:
    """(units,) the combination of their features that units are sorted by, judged by the blocks they stand in alone; None where
    they are not sorted."""
    known = grid >= 0
    labels = grid[known]
    position = np.repeat(np.linspace(-1, 1, len(grid)), known.sum(axis=1))
    position = position - position.mean()
    features = y[labels] - y[labels].mean(axis=0)
    weights = np.linalg.lstsq(features, position, rcond=1e-6)[0]
    explained = float(((features @ weights) ** 2).sum() / max(float(position @ position), 1e-9))
    width = y.shape[1]
    if explained * len(labels) < width + 3 * math.sqrt(2 * width):  # chi squared, by chance
        return None
    return np.asarray(y @ weights)


def _without_copies(side: Float64s) -> Float64s:
    """Clones but the first of each, and copies of layers but the first, count for nothing: they would count one fact twice."""
    kept = side.copy()
    groups = clones(side)
    if groups is not None:
        kept[:, np.setdiff1d(np.arange(side.shape[1]), groups[:, 0])] = np.nan
    links = linked_layers(np.nan_to_num(side))
    kept[np.setdiff1d(np.arange(len(side)), np.unique(links, return_index=True)[1])] = np.nan
    return kept


def inverted(layer_map: tuple[int, ...], layers: int) -> tuple[int, ...]:
    """A map of layers 0, 1, ... to ascending others, read backwards: for each of so many layers the last one mapped to it or
    to one before it."""
    return tuple(max(bisect_right(layer_map, layer) - 1, 0) for layer in range(layers))


@dataclass(frozen=True)
class Labels:
    """What the labels of one space mean in the two models of a pair.

    Attributes:
        space: "neurons", ...
        reference, suspect: what was checked of each.
        names: of the models.
    """

    space: str
    reference: tuple[LabelCheck, ...]
    suspect: tuple[LabelCheck, ...]
    names: tuple[str, str]

    @classmethod
    def of(
        cls,
        space: str,
        models: tuple[Fingerprint, Fingerprint],
        scores: tuple[Float64s, Float64s],
        ranked: Ranked = as_they_are,
    ) -> Labels:
        """Checks of both; scores (layers, units, features), heads of a group side by side as one unit; or features, and what
        makes scores of them."""
        ours, theirs = (
            kept(model, ("labels", space, blake3(side.tobytes()).digest()), partial(_checked, side, ranked))
            for model, side in zip(models, scores, strict=True)
        )
        return cls(space, ours, theirs, (models[0].name, models[1].name))

    @property
    def cloned(self) -> bool:
        """Whether units of one of the models are copies of others of it."""
        return any(check.tells_clones for check in (*self.reference, *self.suspect))

    def sentences(self) -> list[str]:
        """What a reader should know: nothing where labels look random."""
        orders_told = []
        for name, checks in zip(self.names, (self.reference, self.suspect), strict=True):
            orders = [check.order for check in checks if check.log10_p is None or check.log10_p <= TOLD]
            if orders:
                orders_told.append(f" The {self.space} of {name} are {', '.join(orders)}: compared only inside neighbourhoods.")
        return orders_told


def _checked(scores: Float64s, ranked: Ranked) -> tuple[LabelCheck, ...]:
    return tuple(label_checks(scores, ranked))


def as_finding(result: ExchangeabilityResult, note: str, labels: Labels) -> Finding:
    """A test's result as evidence, with what the labels of either model mean."""
    sentences = labels.sentences()
    if result.order:
        sentences.append(" An order that all layers of one model share was taken out.")
    if result.copies:
        sentences.append(f" {result.copies} layers of one model are copies of other layers and are relabelled with them.")
    return Finding(
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        layer_map=result.layer_map,
        layers=result.layers,
        resolution=result.resolution if math.isfinite(result.resolution) else None,
        labels={"reference": labels.reference, "suspect": labels.suspect},
        note="".join([note, *sentences]),
    )
