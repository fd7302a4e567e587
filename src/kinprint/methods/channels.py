"""Residual channels: does channel c of the suspect resemble channel c of the reference, more than relabelled ones do?"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import Labels, as_finding, both_scores, oriented, positive, require_attainable, test_by_order
from kinprint.methods._method import Finding, Test
from kinprint.methods._named import require_unnamed
from kinprint.statistics import RelabellingGroup, admissible, best_map, exchangeability_test
from kinprint.statistics.normal_scores import whiten

LAYERED = (
    *(f"channels.{role}" for role in MATRIX_ROLES),
    *(f"leading.{role}" for role in ("gate", "up", "down")),
    *(f"gains.{norm}" for norm in ("attention_output", "feedforward_output")),
)
"""Gains in front of a block are folded into what reads them: alone they may be anything. Those behind a block stand for
themselves."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given the reference, and which channels of the suspect are neighbours, their labels are uniformly random, the same in
    all layers."""
    require_unnamed("channels", reference, suspect)
    layered = _common(LAYERED, reference, suspect)
    if not layered:
        raise NotApplicable("the two models have no channel trait in common")
    ours, theirs = (sizes(model, layered) for model in (reference, suspect))
    if exchanged := oriented(ours, theirs):
        ours, theirs = theirs, ours
    known = np.isfinite(ours).any(axis=(0, 1)) & np.isfinite(theirs).any(axis=(0, 1))
    ours, theirs = ours[..., known], theirs[..., known]
    scores = both_scores(ours, theirs)
    x, y = (np.nan_to_num(whiten(values)) for values in scores)
    layer_map, tested, how = align(x, y)
    require_attainable(RelabellingGroup(len(tested)), 1, "channels")
    flat = side_by_side((ours, theirs), scores, (list(layer_map), list(range(len(y)))))
    sides = flat[::-1] if exchanged else flat
    labels = Labels.of("channels", (reference, suspect), (sides[0], sides[1]))
    if x.shape[1] == y.shape[1]:
        result = exchangeability_test(flat[0][:, tested], flat[1][:, tested], RelabellingGroup(len(tested)))
        each = tuple(z_over_channels(x[i, tested], y[j, tested]) for j, i in enumerate(layer_map))
    else:
        result, each = test_by_order(*flat), ()
    if exchanged and len(x) > len(y):
        layer_map, each = read_backwards(layer_map, x, y), ()
    names = ", ".join(name.removeprefix("channels.") for name in layered)
    result = replace(result, layer_map=layer_map, layers=each)
    return as_finding(result, f"Compared by channel: {names}; {how}.", labels)


def sizes(model: Fingerprint, names: list[str]) -> Float64s:
    """(layers, channels, traits) what is known of one model's channels, but for those that are zero everywhere."""
    layers = np.stack([_sizes(model, name) for name in names], axis=-1)
    norms = [name.startswith("channels.") for name in names]
    there = np.isfinite(layers[..., norms if any(norms) else slice(None)]).any(axis=(0, 2))
    return layers[:, there]


def side_by_side(
    sides: tuple[Float64s, Float64s], scores: tuple[Float64s, Float64s], layers: tuple[list[int], list[int]]
) -> tuple[Float64s, Float64s]:
    """(1, channels, all features) scores of both models, layers as features, of those features that both have; rows of NaN
    where there is no channel.

    Ranks are taken in each layer by itself, so those known already serve.
    """
    values = [_flat(side[chosen]) for side, chosen in zip(sides, layers, strict=True)]
    common = np.isfinite(values[0]).any(axis=(0, 1)) & np.isfinite(values[1]).any(axis=(0, 1))
    found = []
    for chosen, ranked, flat in zip(layers, scores, values, strict=True):
        joined = _flat(np.nan_to_num(ranked)[chosen])[..., common]
        joined[~np.isfinite(flat[..., common]).any(axis=-1)] = np.nan
        found.append(joined)
    return found[0], found[1]


def _flat(values: Float64s) -> Float64s:
    """(1, channels, layers * traits)."""
    return np.moveaxis(values, 1, 0).reshape(1, values.shape[1], -1)


def align(x: Float64s, y: Float64s) -> tuple[tuple[int, ...], NDArray[np.int64], str]:
    """The reference layer of each suspect layer, the channels left to test, and how that was decided.

    All layers share the channels' labels, so a search for the best map would have to be repeated for every relabelling of
    all of them. Instead one half of the channels finds the map and the other half is tested: given the labels of the first
    half, those of the second are still in random order among neighbours under the null hypothesis.

    Args:
        x, y: (layers, channels, features) label-free scores; the suspect has no more layers.
    """
    channels, every = y.shape[1], np.arange(y.shape[1])
    if x.shape[1] != channels:
        relative = np.linspace(0, len(x) - 1, len(y)).round().astype(int)
        how = (
            f"{x.shape[1]} against {channels} channels, matched by their norms at equal relative depth, tested by the order of "
            "neighbours"
        )
        return tuple(relative.tolist()), every, how
    if len(x) == len(y):
        return tuple(range(len(y))), every, f"{channels} channels"
    fit, tested = every[::2], every[1::2]
    pairs = np.where(admissible(len(x), len(y)), np.einsum("icf,jcf->ij", x[:, fit], y[:, fit], optimize=True), -np.inf)
    how = f"layers aligned on {len(fit)} channels, tested on the other {len(tested)}"
    return best_map(pairs, repeats=False), tested, how


def read_backwards(layer_map: tuple[int, ...], x: Float64s, y: Float64s) -> tuple[int, ...]:
    """For each layer of x the layer of y that is mapped to it, or of those mapped to its neighbours the one it is more like.

    Args:
        layer_map: ascending layers of x, one for each layer of y.
        x, y: (layers, channels, features); channels may differ in number.
    """
    found = []
    for layer, scores in enumerate(x):
        near = max(bisect_right(layer_map, layer) - 1, 0), min(bisect_left(layer_map, layer), len(layer_map) - 1)
        alike = [float(np.sum(scores * y[other])) if scores.shape == y[other].shape else 0.0 for other in near]
        found.append(near[int(np.argmax(alike))])
    return tuple(found)


def z_over_channels(x: Float64s, y: Float64s) -> float:
    """Standardised agreement of equal labels in one layer, (channels, features) each: Hoeffding's mean and variance."""
    x, y = x - x.mean(0), y - y.mean(0)
    variance = float(np.sum((x.T @ x) * (y.T @ y))) / (len(x) - 1)
    return float(np.sum(x * y)) / math.sqrt(variance) if variance > 0 else 0.0


def _common(names: tuple[str, ...], *models: Fingerprint) -> list[str]:
    return [name for name in names if all(name in model.traits for model in models)]


def _sizes(model: Fingerprint, name: str) -> Float64s:
    """A trait as float64; a norm of zero is absent, and so is that of a channel that is padding."""
    values = np.asarray(model.traits[name], dtype=np.float64)
    return positive(values) if name.startswith("channels.") else values


METHOD = Test(
    name="channels",
    summary="size of each residual channel in every matrix of every layer, compared channel by channel",
    needs=(LAYERED,),
    source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
    null="The suspect's residual channels were labelled independently of the reference's: neighbouring channels are in "
    "uniformly random order, the same in all layers.",
    run=run,
    descendants_keep="channels",
)
