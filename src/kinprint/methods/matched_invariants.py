"""Neurons matched by what no disguise changes of them: do they have their partners' signs?

METHODS: disguised models, 2a. A gated neuron with (up, down) computes the same as one with (-up, -down), so in models trained
independently the signs are independent and uniformly random (see `kinprint.matching.signs`). Of the invariants in the
trait `neurons.forms` some change sign with the neuron (those that pair the gate with up or down), the others do not. Neurons
are matched, and layers aligned, by the others and by magnitudes; tested is whether the signs agree. Nothing that the matching
looks at depends on the signs, so the test is exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import EVEN, EXPERT, ODD
from kinprint.fingerprints.kept import kept
from kinprint.matching.forms import compared, described_by, forms_of, one_expert, present, signs_of
from kinprint.matching.layers import SEEDS, aligned, once, pairwise
from kinprint.matching.nearest import nearest
from kinprint.methods._method import Finding, FromExpert, SingleExperts, SingleLayers, Test
from kinprint.methods._signs import as_finding, require_balanced_signs, require_free_signs
from kinprint.statistics import bonferroni, sign_test, sign_z, smallest

COPIED = 5.0
"""z of the agreement of two layers of one model from which they count as copies of each other."""


MOST_EXPERTS = 1 << 16
"""Numbers of experts go up to this, whatever a fingerprint says."""

Described = tuple[Float64s, Float64s]
"""What neurons are matched by, and what is tested, (layers, neurons, features) each."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given everything else, the signs of the suspect's neurons are independent and uniformly random."""
    key, ours, every = _both(reference, suspect)
    shown = compared(suspect)
    theirs = every[0][shown], every[1][shown]
    depth = len(every[0])
    layers = aligned(ours[0], theirs[0], shown, depth)
    each = {j: _agreements(ours, theirs, i, j) for j, i in enumerate(layers)}
    few = ours[0][:, :SEEDS], ours[1][:, :SEEDS]
    weight = {j: float(margin.sum()) for j, (_, margin) in each.items()}

    def alike(before: Sequence[int], layer: int) -> list[float]:
        return [sign_z(_agreements(few, few, i, layer)[0]) for i in before]

    def copies(among: tuple[int, ...]) -> NDArray[np.bool_]:
        return kept(reference, (*key, "copies", among), lambda: pairwise(among, alike) > COPIED)

    tested = once(dict(enumerate(layers)), weight, copies)
    layer_map = tuple(layers) if len(shown) == depth else None
    return as_finding(
        {int(shown[j]): each[j][0] for j in tested},
        depth,
        layer_map,
        "by what no disguise changes and tested by their signs",
        forgeable=True,
    )


def single_layers(reference: Fingerprint, suspect: Fingerprint) -> SingleLayers:
    """H0: given everything else, the other layers of the suspect included, the signs of the neurons of one of its layers are
    independent and uniformly random in each of its experts, which may be copies of each other."""
    asked, ours, theirs = _by_expert(reference, suspect)
    experts = [asked.units.get(layer, {}) for layer in range(len(theirs[0]))]
    least = np.array([bonferroni(-asked.bits * max(each.values()), len(each)) if each else 0.0 for each in experts])

    def likeness(layer: int) -> Float64s:
        return np.array([nearest(x[:SEEDS], theirs[0][layer, :SEEDS])[2].sum() for x in ours[0]])

    def log10_ps(pairs: Sequence[tuple[int, int]]) -> list[float]:
        return [smallest([asked.test(i, j, expert).log10_p for expert in experts[j]]) for i, j in pairs]

    return SingleLayers(likeness, log10_ps, least)


def single_experts(reference: Fingerprint, suspect: Fingerprint) -> SingleExperts:
    """H0: given everything else, the other experts of the suspect included, the signs of the neurons of one of its experts are
    independent and uniformly random."""
    return _by_expert(reference, suspect)[0]


def _by_expert(reference: Fingerprint, suspect: Fingerprint) -> tuple[SingleExperts, Described, Described]:
    """The test of the suspect's experts, and the neurons of both models.

    Every expert of the reference's layer is looked at, though some may be copies of others: neurons of one expert of the
    suspect are there once, and each is matched once.
    """
    _, ours, theirs = _both(reference, suspect, alone=True)
    numbers, own = (_expert_numbers(model) for model in (reference, suspect))
    there = [np.flatnonzero(np.isfinite(layer).all(axis=-1)) for layer in theirs[0]]
    units = {layer: dict(Counter(own[layer, rows].tolist())) for layer, rows in enumerate(there)}

    def test(i: int, j: int, expert: int) -> FromExpert:
        rows = own[j] == expert
        agreements, left = _matched((ours[0][i], ours[1][i]), (theirs[0][j, rows], theirs[1][j, rows]))
        votes = np.bincount(numbers[i, left], np.maximum(agreements, 0.0), minlength=1)
        source = int(votes.argmax())
        return FromExpert(sign_test(agreements).log10_p, source)

    return SingleExperts({layer: each for layer, each in units.items() if each}, test, math.log10(2)), ours, theirs


def _expert_numbers(model: Fingerprint) -> Int64s:
    """(layers, neurons) of which expert a neuron is; a fingerprint may say anything."""
    stated = np.nan_to_num(forms_of(model)[..., EXPERT])
    return np.asarray(np.clip(stated, 0, MOST_EXPERTS - 1).astype(np.int64))


def _matched(ours: Described, theirs: Described) -> tuple[Float64s, Int64s]:
    """Agreement of matched neurons of two layers, and which of the first they are."""
    left, right, margin = nearest(ours[0], theirs[0])
    return np.einsum("nf,nf->n", ours[1][left], theirs[1][right]) * margin, left


def _both(
    reference: Fingerprint, suspect: Fingerprint, *, alone: bool = False
) -> tuple[tuple[object, ...], Described, Described]:
    """A key for what is kept, and the neurons of both models.

    Args:
        alone: those of every expert, each layer decorrelated by itself, so that none depends on what else is in its model; else
            of the reference those of one expert a layer.

    Raises:
        NotApplicable: neurons have no free signs, or somebody chose them.
    """
    presents = [present(model) for model in (reference, suspect)]
    if not all(columns[list(ODD)].any() for columns in presents):
        raise NotApplicable("neurons without a gate have no free sign, and one of the models has such neurons")
    require_free_signs(reference, suspect)
    for model in (reference, suspect):
        _require_balanced(model)
    known, signed = ([column for column in columns if all(each[column] for each in presents)] for columns in (EVEN, ODD))
    key = "matched-invariants", tuple(known), tuple(signed)
    if alone:
        every = [kept(model, (*key, "alone"), partial(_each_described, model, known, signed)) for model in (reference, suspect)]
        return key, every[0], every[1]
    ours = kept(reference, (*key, "one expert"), lambda: _described(one_expert(forms_of(reference)), known, signed))
    return key, ours, kept(suspect, key, lambda: _described(forms_of(suspect), known, signed))


def _require_balanced(model: Fingerprint) -> None:
    def look() -> bool:
        require_balanced_signs(list(forms_of(model)[..., ODD]), model.name)
        return True

    kept(model, "balanced signs of forms", look)


def _described(values: Float64s, known: list[int], signed: list[int]) -> Described:
    return described_by(values, known, signed), signs_of(values, signed)


def _each_described(model: Fingerprint, known: list[int], signed: list[int]) -> Described:
    each = [_described(layer[None], known, signed) for layer in forms_of(model)]
    return np.concatenate([one for one, _ in each]), np.concatenate([other for _, other in each])


def _agreements(ours: Described, theirs: Described, i: int, j: int) -> tuple[Float64s, Float64s]:
    """Agreement of the signed invariants of matched neurons of two layers, weighted by the margin of the match; the margins."""
    left, right, margin = nearest(ours[0][i], theirs[0][j])
    return np.einsum("nf,nf->n", ours[1][i, left], theirs[1][j, right]) * margin, margin


METHOD = Test(
    name="matched-invariants",
    summary="gated neurons matched by what no disguise changes of them, compared by their signs",
    needs=("neurons.forms",),
    source="kinprint",
    null="Given everything else, the signs of the suspect's gated neurons are independent and uniformly random.",
    run=run,
    of="FFN",
    single_layers=single_layers,
    single_experts=single_experts,
)
