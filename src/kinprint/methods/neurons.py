"""FFN neurons: does neuron i of the suspect resemble neuron i of the reference, more than relabelled neurons do?"""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.kept import kept
from kinprint.matching.invariants import invariants
from kinprint.matching.layers import evenly
from kinprint.methods._by_index import (
    Labels,
    as_finding,
    both_scores,
    in_common,
    known_layers,
    real_units,
    require_attainable,
    scores_of,
    single_layers_by_label,
    test_by_order,
)
from kinprint.methods._method import Finding, SingleLayers, Test
from kinprint.methods._named import require_unnamed
from kinprint.statistics import ExchangeabilityResult, RelabellingGroup, exchangeability_test
from kinprint.statistics.exchangeability import BLOCKS_OF_A_PAIR, blocks_of_each
from kinprint.statistics.neighbourhoods import Neighbours

QUICK = "neurons.leading"

NORMS = (0, 1)
"""Features that are norms: what neurons are sorted by, where they are sorted."""

ASKED_AGAIN = 6
"""Layers of which the second question is asked: where it is answered at all, few answer it."""

MATCHED = 1024
"""Neurons a layer of the narrower model that are matched where widths differ: the heaviest ones."""


def leading(model: Fingerprint) -> Float64s:
    """(layers, neurons, 2) of the leading neurons: the log norm and |cos(gate, up)|, in full fingerprints of all."""
    if QUICK not in model.traits:
        return invariants(model)[..., [0, 2]]
    values = np.array(model.traits[QUICK], dtype=np.float64)
    values[..., 1] = np.abs(values[..., 1])
    return values


def _invariants(model: Fingerprint) -> Float64s:
    return kept(model, "neurons", lambda: real_units(invariants(model)))


def heaviest(values: Float64s, count: int) -> Float64s:
    """The `count` neurons of each layer with the largest product of norms, in their order."""
    weight = np.nan_to_num(values[..., 1], nan=-np.inf)
    chosen = np.sort(np.argsort(-weight, axis=1, kind="stable")[:, :count], axis=1)
    return np.asarray(np.take_along_axis(values, chosen[..., None], axis=1))


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given the reference, and which neurons of the suspect are neighbours, their labels are uniformly random in every
    layer."""
    require_unnamed("neurons", reference, suspect)
    quick = any(QUICK in model.traits for model in (reference, suspect))
    x, y = (real_units(leading(model)) if quick else _invariants(model) for model in (reference, suspect))
    ours, theirs, layers = x.shape[1], y.shape[1], known_layers(x, y)
    require_attainable(RelabellingGroup(min(ours, theirs)), layers, "neurons")
    if quick:
        # Whatever the widths: given which neurons are in front, their order among themselves is uniformly random.
        x, y = (values[:, : min(ours, theirs)] for values in (x, y))
    x, y = in_common(x, y)
    labels = Labels.of("neurons", (reference, suspect), (x, y), scores_of)
    if x.shape[1] == y.shape[1]:
        how = f"the {x.shape[1]} leading neurons of each layer" if quick else f"{theirs} neurons a layer"
        result = _by_label(x, y, cloned=labels.cloned)
    else:
        part = min(MATCHED / min(ours, theirs), 1.0)
        result = test_by_order(*both_scores(heaviest(x, round(part * ours)), heaviest(y, round(part * theirs))))
        how = f"{ours} against {theirs} neurons a layer, matched by their invariants and tested by the order of neighbours"
    return as_finding(result, f"Norms and angles of gate, up and down in {layers} layers, {how}.", labels)


def _by_label(x: Float64s, y: Float64s, *, cloned: bool) -> ExchangeabilityResult:
    """The test of as many neurons on both sides. Of very many only those are ranked that it looks at, unless some are clones,
    which it must look for among all."""
    chosen = Neighbours.of(x.shape[1], blocks_of_each((len(x), len(y))))
    if cloned or len(chosen.labels) == x.shape[1]:
        return exchangeability_test(scores_of(x), scores_of(y), RelabellingGroup(x.shape[1]))
    ours, theirs = (scores_of(side[:, chosen.labels]) for side in (x, y))
    return exchangeability_test(ours, theirs, RelabellingGroup(len(chosen.labels)), chosen)


def single_layers(reference: Fingerprint, suspect: Fingerprint) -> SingleLayers:
    """H0: given the reference, and all other layers of the suspect, the labels of neighbouring neurons of one of its layers are
    uniformly random."""
    require_unnamed("neurons", reference, suspect)
    if any(QUICK in model.traits for model in (reference, suspect)):
        raise NotApplicable("single layers are not asked about with --quick")
    x, y = in_common(_invariants(reference), _invariants(suspect))
    if x.shape[1] != y.shape[1]:
        raise NotApplicable("the widths of the FFNs differ")
    chosen = Neighbours.of(x.shape[1], BLOCKS_OF_A_PAIR)
    if len(chosen.labels) == x.shape[1] or Labels.of("neurons", (reference, suspect), (x, y), scores_of).cloned:
        return single_layers_by_label(scores_of(x), scores_of(y), RelabellingGroup(x.shape[1]))
    x, y = (scores_of(side[:, chosen.labels]) for side in (x, y))
    return single_layers_by_label(x, y, RelabellingGroup(len(chosen.labels)), chosen)


def beyond_order(reference: Fingerprint, suspect: Fingerprint) -> ExchangeabilityResult | None:
    """The same question about the angles of neurons of some layers, freed of what their norms say of them; None where widths or
    depths differ."""
    if any(QUICK in model.traits for model in (reference, suspect)):
        return None
    x, y = (_invariants(model) for model in (reference, suspect))
    if x.shape[:2] != y.shape[:2]:
        return None
    known = np.flatnonzero(np.isfinite(x).any(axis=(1, 2)) & np.isfinite(y).any(axis=(1, 2)))
    if not len(known):
        return None
    shown = known[evenly(len(known), ASKED_AGAIN)]
    x, y = x[shown], y[shown]
    sizes = sum(all(np.isfinite(values[..., column]).any() for values in (x, y)) for column in NORMS)
    x, y = (_unexplained(scores, sizes) for scores in both_scores(x, y))
    return exchangeability_test(x, y, RelabellingGroup(x.shape[1]))


def _unexplained(scores: Float64s, sizes: int) -> Float64s:
    """What a cubic regression on the first scores (layers, neurons, features) leaves of the others, layer by layer."""
    residuals = scores[..., sizes:].copy()
    for layer, rest in zip(scores, residuals, strict=True):
        there = np.isfinite(layer).all(axis=1)
        if not there.any():
            continue
        known = layer[there][:, :sizes]
        terms = np.concatenate([known, known**2, known**3, known[:, :1] * known[:, -1:]], axis=1)
        terms = terms - terms.mean(axis=0)
        rest[there] -= terms @ np.linalg.lstsq(terms, rest[there], rcond=1e-9)[0]
    return residuals


METHOD = Test(
    name="neurons",
    summary="norms and angles of each FFN neuron's gate, up and down that no free scale or sign changes, neuron by neuron",
    needs=(("neurons.invariants", QUICK),),
    source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
    null="The suspect's FFN neurons were labelled independently of the reference's: in every layer that is no copy of another, "
    "neighbouring neurons are in uniformly random order.",
    run=run,
    of="FFN",
    beyond=beyond_order,
    single_layers=single_layers,
)
