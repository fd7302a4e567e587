"""Attention heads: does head h of the suspect resemble head h of the reference, more than relabelled heads do?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import (
    Labels,
    as_finding,
    both_scores,
    inverted,
    known_layers,
    oriented,
    real_units,
    require_attainable,
    single_layers_by_label,
    test_by_order,
)
from kinprint.methods._heads import SPECTRA, Side, spectra, spectrum_features, structure
from kinprint.methods._method import Finding, SingleLayers, Test
from kinprint.methods._named import require_unnamed
from kinprint.statistics import (
    ExchangeabilityResult,
    RelabellingGroup,
    exchangeability_test,
    exchangeability_test_of_scores,
    partners_test,
)
from kinprint.statistics.neighbourhoods import Neighbours
from kinprint.statistics.normal_scores import whiten
from kinprint.statistics.order import without_order


def test_inside_groups(
    x: Float64s, y: Float64s, reference: RelabellingGroup, suspect: RelabellingGroup
) -> ExchangeabilityResult:
    """For groups of unequal size: whole key-value groups are relabelled, heads inside matched as fits best."""
    if exchanged := oriented(x, y):
        x, y, reference, suspect = y, x, suspect, reference
    neighbours = Neighbours.of(reference.groups, reference.groups)
    ours, theirs = (
        np.nan_to_num(whiten(side)).reshape(len(side), s.groups, s.members, -1) for side, s in ((x, reference), (y, suspect))
    )
    ours, ordered = without_order(ours, neighbours, np.nan_to_num(x).reshape(ours.shape))

    def score(i: int, j: int, grid: NDArray[np.int64]) -> Float64s:
        single = np.einsum("gmf,hnf->gmhn", ours[i], theirs[j], optimize=True)
        best = np.empty((reference.groups, suspect.groups))
        for g, h in np.ndindex(best.shape):
            best[g, h] = single[g, :, h][linear_sum_assignment(single[g, :, h], maximize=True)].sum()
        return best[grid[:, :, None], grid[:, None, :]]

    result = replace(exchangeability_test_of_scores(score, (len(x), len(y)), suspect.groups), order=ordered)
    return replace(result, layer_map=inverted(result.layer_map, len(x)), layers=()) if exchanged else result


def _features(
    *models: Fingerprint,
) -> tuple[list[str], tuple[Float64s, ...], tuple[RelabellingGroup, ...]]:
    """Spectra that both models have; of each (layers, heads, features) of them, and how heads are grouped."""
    common = [name for name in SPECTRA if all(name in model.traits for model in models)]
    if not common:
        raise NotApplicable("the two models have no head spectrum in common")
    found = []
    for model in models:
        known, units = spectra(model), structure(model)
        values = np.concatenate([spectrum_features(known[name]) for name in common], axis=-1)
        values = real_units(values, units.members)
        found.append((values, RelabellingGroup(values.shape[1] // units.members, units.members)))
    return common, tuple(values for values, _ in found), tuple(units for _, units in found)


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given the reference, and which heads of the suspect are neighbours, their labels are uniformly random in every
    layer."""
    require_unnamed("heads", reference, suspect)
    common, (x, y), (ours, theirs) = _features(reference, suspect)
    layers = known_layers(x, y)
    x, y = both_scores(x, y)
    by_group = (x.reshape(len(x), ours.groups, -1), y.reshape(len(y), theirs.groups, -1))
    labels = Labels.of("heads" if ours.members == theirs.members == 1 else "groups of heads", (reference, suspect), by_group)
    used = " and ".join(name.removeprefix("heads.").removesuffix("_spectrum").upper() for name in common)
    if ours == theirs:
        require_attainable(ours, layers, "heads")
        result, how = exchangeability_test(x, y, ours), f"{ours.groups} groups of {ours.members}"
    elif ours.groups == theirs.groups:
        require_attainable(RelabellingGroup(ours.groups), layers, "key-value groups")
        result = test_inside_groups(x, y, ours, theirs)
        how = f"{ours.groups} groups of {ours.members} against {theirs.members} heads, matched inside groups"
    else:
        require_attainable(RelabellingGroup(min(ours.groups, theirs.groups)), layers, "key-value groups")
        x, y = (scores.reshape(len(scores), s.groups, s.members, -1).mean(2) for scores, s in ((x, ours), (y, theirs)))
        result = test_by_order(x, y)
        how = f"{ours.groups} groups against {theirs.groups}, matched by their spectra and tested by the order of neighbours"
    return as_finding(result, f"{used} spectra of {layers} layers, {how}.", labels)


def single_layers(reference: Fingerprint, suspect: Fingerprint) -> SingleLayers:
    """H0: given the reference, and all other layers of the suspect, the labels of neighbouring heads of one of its layers are
    uniformly random."""
    require_unnamed("heads", reference, suspect)
    _, (x, y), (ours, theirs) = _features(reference, suspect)
    if ours != theirs:
        raise NotApplicable("the numbers of heads differ")
    return single_layers_by_label(*both_scores(x, y), ours)


def beyond_order(reference: Fingerprint, suspect: Fingerprint) -> ExchangeabilityResult | None:
    """The same question about what values and outputs say beyond queries and keys; None where the numbers of heads differ."""
    ours, theirs = structure(reference), structure(suspect)
    if ours != theirs or not all(name in model.traits for name in SPECTRA for model in (reference, suspect)):
        return None
    x, y = (Side.of(model, ours.members).rest for model in (reference, suspect))
    if x.shape != y.shape:
        return None
    x, y = (values.reshape(len(values), ours.units, -1) for values in (x, y))
    return partners_test(x, y, ours, 0.0)


METHOD = Test(
    name="heads",
    summary="singular spectra of each attention head's QK and VO products, compared head by head",
    needs=(SPECTRA,),
    source="kinprint; spectra as in GhostSpec, arXiv 2511.06390; null as in Zhu et al., ICML 2025",
    null="The suspect's heads were labelled independently of the reference's: in every layer that is no copy of another, "
    "neighbouring key-value groups, and neighbouring heads inside each group, are in uniformly random "
    "order. Not valid where positions name heads (ALiBi).",
    run=run,
    of="attention",
    beyond=beyond_order,
    single_layers=single_layers,
)
