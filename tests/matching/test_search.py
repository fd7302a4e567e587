"""The search: what it looks at, when it is given up, and that neither depends on what is tested."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from methods.test_matched import HIDDEN, NEURONS, disguised, simulated, weights_of

from kinprint.architectures import Place
from kinprint.architectures.weights import Weights
from kinprint.matching import neurons as neurons_module
from kinprint.matching import search
from kinprint.matching.search import Correspondence, correspondence
from kinprint.methods import matched_neurons

SMALLER = NEURONS // 2


def flipped(model: Weights, rng: np.random.Generator) -> Weights:
    """Half of the gated neurons with the other sign."""
    signs = {layer: rng.choice([-1.0, 1.0], NEURONS) for layer in range(model.layers)}
    arrays: dict[Place, Any] = {}
    for (layer, role, expert), part in model.parts.items():
        array = np.array(part.read())
        if layer is not None and role in ("up", "down"):
            array = array * (signs[layer] if role == "down" else signs[layer][:, None])
        arrays[layer, role, expert] = array
    return weights_of(arrays, model.layers)


def same_matches(one: Correspondence, other: Correspondence) -> bool:
    pairs = zip(one.matches, other.matches, strict=True)
    return one.given_up == other.given_up and all(
        np.array_equal(a.reference.index[a.ours], b.reference.index[b.ours])
        and np.array_equal(a.suspect.index[a.theirs], b.suspect.index[b.theirs])
        and np.array_equal(a.closeness, b.closeness)
        for a, b in pairs
    )


@pytest.mark.parametrize("related", [True, False])
@pytest.mark.parametrize("by_tokens", [True, False])
def test_neither_the_matches_nor_the_rule_look_at_signs(related: bool, by_tokens: bool) -> None:
    """What is tested afterwards is the sign: the suspect with other signs has the same matches, bit for bit, and is given up
    or not as before. So the test stays exact, whatever the rule."""
    rng = np.random.default_rng(21)
    parent = simulated(rng, gated=True, layers=5)
    suspect = disguised(parent, rng) if related else simulated(rng, gated=True, layers=5)
    found = [correspondence(parent, s, by_tokens=by_tokens) for s in (suspect, flipped(suspect, rng))]
    assert found[0].given_up != related
    assert same_matches(*found)


def test_strangers_stand_for_nothing() -> None:
    """H0, six layers, in each round: few come to what a search goes on from, and a disguised copy is there at once."""
    rng = np.random.default_rng(22)
    given_up = [
        correspondence(simulated(rng, gated=True, layers=6), simulated(rng, gated=True, layers=6)).given_up for _ in range(20)
    ]
    assert np.mean(given_up) > 0.8
    parent = simulated(rng, gated=True, layers=6)
    found = correspondence(parent, disguised(parent, rng))
    assert not found.given_up
    assert search.standing(found.reference, found.matches) > search.STANDING


def test_a_pair_that_is_given_up_is_tested_and_counted() -> None:
    """Its p-value is one of the verdict's, so the rule cannot choose for how many tests the verdict is corrected."""
    rng = np.random.default_rng(23)
    evidence = matched_neurons.METHOD(simulated(rng, gated=True, layers=6), simulated(rng, gated=True, layers=6))
    assert "given up" in evidence.note
    assert evidence.log10_p is not None
    assert evidence.decides
    assert {"z of signs", "z of writes", "z of signs by tokens"} < set(evidence.parts)


def test_too_few_layers_cannot_be_asked() -> None:
    rng = np.random.default_rng(24)
    found = correspondence(simulated(rng, gated=True, layers=2), simulated(rng, gated=True, layers=2))
    assert search.standing(found.reference, found.matches) == math.inf
    assert not found.given_up


@pytest.mark.parametrize("kept", [[0, 1, 2, 3, 4], [0, 2, 3, 4]])
def test_neurons_beyond_the_described_ones_are_matched_too(kept: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the neurons find the rotation; all are read and matched then, also where layers have to be aligned."""
    for module in (neurons_module, search):
        monkeypatch.setattr(module, "DESCRIBED", SMALLER)
    rng = np.random.default_rng(25)
    parent = simulated(rng, gated=True, layers=5)
    arrays = {(kept.index(p[0]) if p[0] is not None else None, *p[1:]): part.read() for p, part in parent.parts.items()
              if p[0] is None or p[0] in kept}  # fmt: skip
    child = disguised(weights_of(arrays, len(kept)), rng)
    found = correspondence(parent, child)
    assert found.layer_map == tuple(kept)
    for match in found.matches:
        assert len(match.ours) > 1.5 * SMALLER  # some are left out as copies
        order = np.random.default_rng([match.suspect.layer, 1]).permutation(NEURONS)
        right = order[match.suspect.index[match.theirs]] == match.reference.index[match.ours]
        assert np.mean(right) > 0.95


def test_directions_do_not_depend_on_coordinates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a rotated copy with neurons in another order the directions are those of the model, rotated."""
    monkeypatch.setattr(neurons_module, "DIRECTIONS", HIDDEN // 2)
    rng = np.random.default_rng(26)
    layers = [rng.normal(size=(NEURONS, HIDDEN)) * np.linspace(2, 0.5, HIDDEN) for _ in range(3)]
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in layers]
    turn = np.linalg.qr(rng.normal(size=(HIDDEN, HIDDEN)))[0]
    ours = neurons_module.directions([rows.astype(np.float16) for rows in units], HIDDEN)
    theirs = neurons_module.directions([(rows @ turn.T).astype(np.float16) for rows in units], HIDDEN)
    assert ours.shape == (HIDDEN, HIDDEN // 2)
    np.testing.assert_allclose(ours.T @ ours, np.eye(HIDDEN // 2), atol=1e-5)
    shared = np.linalg.norm(theirs.T @ turn @ ours) ** 2 / (HIDDEN // 2)
    assert shared > 0.99
    whole = np.concatenate(units)
    largest = np.linalg.eigvalsh(whole.T @ whole)[::-1][: HIDDEN // 2].sum()
    assert np.linalg.norm(whole @ ours) ** 2 > 0.9 * largest
