"""Residual channels: does channel c of the suspect resemble channel c of the reference, more than relabelled ones do?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.evidence import Evidence, Method, NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._named import require_unnamed
from kinprint.methods._units import as_evidence, both_scores, require_attainable, test_by_order
from kinprint.statistics import Structure, admissible, best_map, exchangeability_test

Array = NDArray[np.float64]

LAYERED = (
    *(f"channels.{role}" for role in MATRIX_ROLES),
    *(f"leading.{role}" for role in MATRIX_ROLES),
    *(f"gains.{norm}" for norm in ("input", "post_attention", "attention_output", "feedforward_output")),
)
SINGLE = ("embedding.input", "embedding.output", "leading.embedding", "leading.head", "gains.final", "gains.encoder_final")


def run(reference: Fingerprint, suspect: Fingerprint) -> Evidence:
    """H0: given the reference, the labels of the suspect's channels are one uniformly random relabelling of all layers."""
    require_unnamed("channels", reference, suspect)
    layered, single = _common(LAYERED, reference, suspect), _common(SINGLE, reference, suspect)
    if not layered:
        raise NotApplicable("the two models have no channel trait in common")
    x, y = (np.stack([_plain(model, name) for name in layered], axis=-1) for model in (reference, suspect))
    x_scores, y_scores = both_scores(x, y)
    layer_map, tested, how = align(x_scores, y_scores)
    require_attainable(Structure(len(tested)), 1, "channels")
    x, y = (
        _side_by_side(layers, [_plain(model, name) for name in single])
        for layers, model in ((x[list(layer_map)], reference), (y, suspect))
    )
    x, y = both_scores(x, y)
    if x.shape[1] == y.shape[1]:
        result = exchangeability_test(x[:, tested], y[:, tested], Structure(len(tested)))
        each = tuple(z_over_channels(x_scores[i, tested], y_scores[j, tested]) for j, i in enumerate(layer_map))
        result = replace(result, layer_map=layer_map, layers=each)
    else:
        result = replace(test_by_order(x, y), layer_map=layer_map, layers=())
    names = ", ".join(name.removeprefix("channels.") for name in (*layered, *single))
    return as_evidence(METHOD.name, result, f"Compared by channel: {names}; {how}.")


def align(x: Array, y: Array) -> tuple[tuple[int, ...], NDArray[np.int64], str]:
    """The reference layer of each suspect layer, the channels left to test, and how that was decided.

    All layers share the channels' labels, so a search for the best map would have to be repeated for every relabelling of
    all of them. Instead one half of the channels finds the map and the other half is tested: given the labels of the first
    half, those of the second are still in uniformly random order under the null hypothesis.

    Args:
        x, y: (layers, channels, features) label-free scores.
    """
    channels, every = y.shape[1], np.arange(y.shape[1])
    if x.shape[1] != channels:
        relative = np.linspace(0, len(x) - 1, len(y)).round().astype(int)
        how = f"{x.shape[1]} against {channels} channels, matched by their norms at equal relative depth, tested by order"
        return tuple(relative.tolist()), every, how
    if len(x) == len(y):
        return tuple(range(len(y))), every, f"{channels} channels"
    fit, tested = every[::2], every[1::2]
    pairs = np.where(admissible(len(x), len(y)), np.einsum("icf,jcf->ij", x[:, fit], y[:, fit], optimize=True), -np.inf)
    how = f"layers aligned on {len(fit)} channels, tested on the other {len(tested)}"
    return best_map(pairs, repeats=len(y) > len(x)), tested, how


def z_over_channels(x: Array, y: Array) -> float:
    """Standardised agreement of equal labels in one layer, (channels, features) each: Hoeffding's mean and variance."""
    x, y = x - x.mean(0), y - y.mean(0)
    variance = float(np.sum((x.T @ x) * (y.T @ y))) / (len(x) - 1)
    return float(np.sum(x * y)) / math.sqrt(variance) if variance > 0 else 0.0


def _common(names: tuple[str, ...], *models: Fingerprint) -> list[str]:
    return [name for name in names if all(name in model.traits for model in models)]


def _plain(model: Fingerprint, name: str) -> Array:
    return np.asarray(model.traits[name], dtype=np.float64)


def _side_by_side(layered: Array, single: list[Array]) -> Array:
    """(layers, channels, features) and vectors of channels -> (1, channels, all features): layers become features."""
    channels = layered.shape[1]
    flat = np.moveaxis(layered, 1, 0).reshape(channels, -1)
    return np.concatenate([flat, *(vector.reshape(channels, 1) for vector in single)], axis=1)[None]


METHOD = Method(
    name="channels",
    kind="test",
    summary="norm of each residual channel in every matrix and norm gain of every layer, compared channel by channel",
    needs=(LAYERED,),
    source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
    null="The suspect's residual channels were labelled independently of the reference's: they are in uniformly random "
    "order, the same in all layers.",
    run=run,
)
