"""Layers that lack attention, an FFN or experts, in one model or in both: they count for nothing, and no test errs by them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinprint import methods
from kinprint.fingerprints import Fingerprint

sys.path.insert(0, str(Path(__file__).parent))
from simulated import EXPERTS, GROUPS, descendant, model

BY_INDEX = ("heads", "neurons", "experts", "routers", "channels")


def method(name: str) -> Any:
    return next(item for item in methods.known() if item.name == name)


def among_others(model: Fingerprint, places: list[int], depth: int) -> Fingerprint:
    """A deeper model whose other layers have none of the traits."""
    traits = {}
    for name, trait in model.traits.items():
        traits[name] = np.full((depth, *trait.shape[1:]), np.nan)
        traits[name][places] = trait
    return Fingerprint(model.name, traits, model.facts)


@pytest.mark.parametrize("name", BY_INDEX)
def test_absent_layers_change_nothing(name: str) -> None:
    """The statistic of a hybrid is that of its layers that have the units, to the accuracy of its null distribution."""
    rng = np.random.default_rng(3)
    parent = model(rng)
    child = descendant(parent, rng, 0.1)
    plain = method(name)(parent, child)
    mixed = method(name)(*(among_others(m, [1, 3, 4, 6], 7) for m in (parent, child)))
    assert mixed.statistic == pytest.approx(plain.statistic, rel=0.1)
    assert mixed.log10_p < -6


@pytest.mark.parametrize("name", BY_INDEX)
@pytest.mark.parametrize("places", [([1, 3, 4, 6], [0, 2, 3, 5]), ([0, 1, 2, 3], [3, 4, 5, 6])])
def test_unrelated_hybrids(name: str, places: tuple[list[int], list[int]]) -> None:
    """Whatever layers they have, in the same or in other places, unrelated models are rarely below 0.05, never far below."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        one, other = (among_others(model(rng), where, 7) for where in places)
        evidence = method(name)(one, other)
        found.append(0.0 if evidence.log10_p is None else evidence.log10_p)
    assert min(found) > -3.5
    assert np.mean(np.array(found) < np.log10(0.05)) < 0.2


@pytest.mark.parametrize("name", [item.name for item in methods.known() if not item.deep])
def test_nothing_present(name: str) -> None:
    """Traits that are absent in every layer of one model: the method is silent or says that nothing agrees."""
    rng = np.random.default_rng(5)
    whole = model(rng)
    empty = Fingerprint("empty", {n: np.full_like(t, np.nan) for n, t in whole.traits.items()}, whole.facts)
    for pair in ((whole, empty), (empty, whole)):
        evidence = method(name)(*pair)
        assert not evidence.applies or evidence.log10_p in (None, 0.0)


def test_experts_that_are_routed_in_groups() -> None:
    """Groups of experts are exchanged as wholes: agreement of groups as such, at random places, is no evidence."""
    facts = {"expert_groups": 4, "num_key_value_heads": GROUPS}
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        pair = []
        for label in ("one", "other"):
            groups = np.repeat(np.array([[-3.0, -1.0, 1.0, 3.0]]), 6, axis=0)
            order = rng.permuted(groups, axis=1)
            values = np.repeat(order, EXPERTS // 4, axis=1)[..., None] + 0.1 * rng.normal(size=(6, EXPERTS, 25))
            pair.append(Fingerprint(label, {"experts.profile": values}, facts))
        evidence = method("experts")(*pair)
        assert "in 4 groups" in evidence.note
        found.append(10 ** (evidence.log10_p or 0.0))
    assert np.mean(np.array(found) < 0.05) < 0.1


def test_more_experts_in_groups_are_not_tested() -> None:
    """Where the numbers differ the order of matches would be tested, which groups do not leave random."""
    rng = np.random.default_rng(1)
    one, other = model(rng), model(rng)
    fewer = {"experts.profile": np.asarray(other.traits["experts.profile"])[:, :8]}
    evidence = method("experts")(one, Fingerprint("other", fewer, {"expert_groups": 4}))
    assert not evidence.applies
    assert "routed together" in evidence.note


@pytest.mark.parametrize("positions", ["alibi", "shared_bias"])
def test_positions_that_name_heads(positions: str) -> None:
    rng = np.random.default_rng(1)
    one = model(rng)
    evidence = method("heads")(one, Fingerprint("two", dict(one.traits), {**one.facts, "positions": positions}))
    assert not evidence.applies


def test_neurons_without_a_free_sign() -> None:
    """Of gpt-oss the signs are part of what a neuron computes: the tests by signs are silent."""
    rng = np.random.default_rng(1)
    traits = {"neurons.forms": rng.normal(size=(4, 64, 30))}
    bound = Fingerprint("bound", traits, {"free_signs": False})
    evidence = method("matched-invariants")(bound, Fingerprint("free", traits, {}))
    assert not evidence.applies
    assert "free sign" in evidence.note
