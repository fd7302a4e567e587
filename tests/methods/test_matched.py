"""Neurons matched whatever the disguise: p-values under the null, what is found, and what is not tested."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from methods.tiny_weights import part
from scipy.stats import kstest

from kinprint import compare, fingerprint, transforms
from kinprint.architectures import Place
from kinprint.architectures.weights import Weights
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, EXPERT, ODD
from kinprint.matching.search import correspondence
from kinprint.matching.signs import sign_agreements
from kinprint.matching.writes import write_agreements
from kinprint.methods import matched_invariants, matched_neurons, matched_writes
from kinprint.statistics import SignTestResult, sign_test
from kinprint.zoo.recipes import DISGUISE

HIDDEN, NEURONS = 24, 64
SHARED = np.random.default_rng(99)
MEANS = SHARED.normal(size=(3, HIDDEN))
"""Directions that the vectors of every simulated model have in common: mean of gates, of ups and of downs."""

MASSIVE = np.where(np.arange(HIDDEN) < 2, 8.0, 1.0)
"""Two channels in which every model is large."""

MIX = SHARED.normal(size=(2, HIDDEN, HIDDEN)) / HIDDEN**0.5
"""How what neurons read decides what they write, the same in every model."""

EMBEDDING = SHARED.normal(size=(100, HIDDEN)) * MASSIVE
"""What tokens are, the same in every model: more than independent trainings ever have in common."""


def simulated(rng: np.random.Generator, *, gated: bool, layers: int = 3, copied: bool = False) -> Weights:
    """A model that has everything in common with every other but its neurons.

    Common mean directions, massive channels, ups and downs that depend on reads (linearly and not), heavy-tailed sizes that
    depend on directions. Of gated neurons (up, down) has a random sign, as symmetry demands.
    """
    arrays: dict[Place, Any] = {(None, "embedding", None): EMBEDDING}
    for layer in range(layers):
        read = (MEANS[0] + rng.standard_t(5, (NEURONS, HIDDEN))) * MASSIVE
        size = np.exp(0.3 * rng.standard_t(4, (NEURONS, 1)) + 0.2 * np.tanh(read[:, :1])).clip(0.05, 20)
        write = read @ MIX[0] + np.abs(read) @ MIX[1] + (MEANS[1] + 2 * rng.normal(size=(NEURONS, HIDDEN))) * MASSIVE
        arrays |= {(layer, "down", None): (size * write).T}
        if gated:
            sign = rng.choice([-1.0, 1.0], (NEURONS, 1))
            up = read @ MIX[1] + (MEANS[2] + rng.normal(size=(NEURONS, HIDDEN))) * MASSIVE
            arrays |= {(layer, "gate", None): read * size, (layer, "up", None): sign * up}
            arrays[layer, "down", None] = arrays[layer, "down", None] * sign.T
        else:
            arrays[layer, "up", None] = read * size
        for role in ("q", "k", "v"):
            arrays[layer, role, None] = rng.normal(size=(16, HIDDEN)) * MASSIVE
        arrays[layer, "o", None] = (rng.normal(size=(16, HIDDEN)) * MASSIVE).T
    if copied:  # depth up-scaling: every layer twice
        doubled = {(layer + layers, role, None): array for (layer, role, _), array in arrays.items() if layer is not None}
        arrays, layers = arrays | doubled, 2 * layers
    return weights_of(arrays, layers)


def weights_of(arrays: dict[Place, Any], layers: int) -> Weights:
    facts = {"num_hidden_layers": layers, "hidden_size": HIDDEN, "num_attention_heads": 4, "num_key_value_heads": 4}
    return Weights("model", "memory", facts | {"norm": "rms"}, {p: part(p, a) for p, a in arrays.items()}, {})


def disguised(model: Weights, rng: np.random.Generator, *, flipped: float = 0.0, noise: float = 0.02) -> Weights:
    """Noise, then neurons permuted, scaled and (a share) flipped, and the residual stream rotated."""
    turn = np.linalg.qr(rng.normal(size=(HIDDEN, HIDDEN)))[0]
    arrays: dict[Place, Any] = {}
    for (layer, role, expert), item in model.parts.items():
        matrix = np.array(item.read(), dtype=np.float64)
        matrix += noise * matrix.std() * rng.normal(size=matrix.shape)
        own = np.random.default_rng([layer or 0, 1])
        order, scale = own.permutation(NEURONS), np.exp(own.uniform(-1, 1, NEURONS))
        scale *= np.where(own.random(NEURONS) < flipped, -1, 1)
        if role == "down":
            matrix = (matrix / scale)[:, order]
        elif role == "up" and any(place[1] == "gate" for place in model.parts):
            matrix = (matrix * scale[:, None])[order]
        elif role in ("gate", "up"):
            matrix = matrix[order]
        if role == "down" and not any(place[1] == "gate" for place in model.parts):
            matrix = matrix * scale[order]
        arrays[layer, role, expert] = turn @ matrix if role in ("o", "down") else matrix @ turn.T
    return weights_of(arrays, model.layers)


@pytest.mark.parametrize(("by_tokens", "pairs"), [(False, 200), (True, 100)])
def test_signs_are_uniform_for_unrelated_models(by_tokens: bool, pairs: int) -> None:
    """H0: independent models with strong dependence inside each, common means, massive channels and one embedding. Uniform,
    whatever the first rotation."""
    rng = np.random.default_rng(1)
    p = []
    for _ in range(pairs):
        found = correspondence(simulated(rng, gated=True), simulated(rng, gated=True), by_tokens=by_tokens)
        p.append(10 ** sign_test(np.concatenate(sign_agreements(found))).log10_p)
    print(f"signs: smallest {min(p):.4f}, KS {kstest(p, 'uniform')}")
    assert kstest(p, "uniform").pvalue > 1e-3
    assert min(p) > 1e-5


@pytest.mark.parametrize("gated", [True, False])
def test_no_unrelated_pair_is_accused(gated: bool) -> None:
    """H0 as above, the whole method: 100 pairs, p-values at least as large as uniform ones, none small."""
    rng = np.random.default_rng(2)
    p = []
    for _ in range(100):
        evidence = matched_neurons.METHOD(simulated(rng, gated=gated), simulated(rng, gated=gated))
        p.append(1.0 if evidence.log10_p is None else 10**evidence.log10_p)  # too few matches: nobody is accused
    assert np.mean(np.array(p) < 1) > 0.3
    assert kstest(p, "uniform", alternative="greater").pvalue > 1e-3
    assert min(p) > 1e-4


def test_copies_of_layers_are_not_counted_twice() -> None:
    """H0: independent models, each with every layer twice. Copies share their signs; 100 pairs: p-values are uniform."""
    rng = np.random.default_rng(3)
    p = []
    for _ in range(100):
        found = correspondence(simulated(rng, gated=True, copied=True), simulated(rng, gated=True, copied=True))
        p.append(10 ** sign_test(np.concatenate(sign_agreements(found))).log10_p)
        assert len(found.matches) <= 3
    assert kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("gated", [True, False])
def test_disguised_copies_are_found(gated: bool) -> None:
    """A copy with noise, permuted, scaled and rotated; the neurons that are matched are the right ones."""
    rng = np.random.default_rng(4)
    parent = simulated(rng, gated=gated)
    child = disguised(parent, rng)
    evidence = matched_neurons.METHOD(parent, child)
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    assert evidence.layer_map == (0, 1, 2)
    assert "residual stream rotated" in evidence.disguise


def test_streams_wider_than_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """H0 of the signs in three quarters of the directions, 120 pairs: uniform. Relabelling is found and told."""
    monkeypatch.setattr("kinprint.matching.neurons.DIRECTIONS", HIDDEN * 3 // 4)
    rng = np.random.default_rng(11)
    p = []
    for _ in range(120):
        found = correspondence(simulated(rng, gated=True), simulated(rng, gated=True))
        assert found.rotation.shape == (HIDDEN * 3 // 4, HIDDEN * 3 // 4)
        p.append(10 ** sign_test(np.concatenate(sign_agreements(found))).log10_p)
    assert kstest(p, "uniform").pvalue > 1e-3
    parent = simulated(rng, gated=True)
    assert matched_neurons.METHOD(parent, disguised(parent, rng)).log10_p < -12  # type: ignore[operator]
    order = rng.permutation(HIDDEN)
    relabelled: dict[Place, Any] = {}
    for (layer, role, expert), item in parent.parts.items():
        matrix = np.array(item.read())
        relabelled[layer, role, expert] = matrix[order] if role in ("o", "down") else matrix[:, order]
    assert "channels permuted" in matched_neurons.METHOD(parent, weights_of(relabelled, parent.layers)).disguise


def test_tokens_give_a_rotation_that_descriptors_do_not() -> None:
    """Alternative: gates and ups of a parent, noisy, beside heads and downs of another, rotated. Descriptors match nothing, so
    without the embedding it is lost."""
    rng = np.random.default_rng(12)
    parent, other = (simulated(rng, gated=True, layers=6) for _ in range(2))
    kept = {place: (parent if place[1] in ("gate", "up", "embedding") else other).parts[place] for place in parent.parts}
    far = disguised(replace(parent, parts=kept), rng, noise=0.5)
    found = matched_neurons.METHOD(parent, far)
    assert found.log10_p is not None
    assert found.log10_p < -6
    assert "tokens' embeddings" in found.note
    without = [replace(m, parts={place: p for place, p in m.parts.items() if place[1] != "embedding"}) for m in (parent, far)]
    lost = matched_neurons.METHOD(*without)
    assert lost.log10_p is not None
    assert lost.log10_p > -6


def test_flipped_signs_leave_what_neurons_write() -> None:
    """Signs flipped at random: the signs say nothing any more, the products of ups and downs do."""
    rng = np.random.default_rng(5)
    parent = simulated(rng, gated=True)
    evidence = matched_neurons.METHOD(parent, disguised(parent, rng, flipped=0.5))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    assert abs(evidence.parts["z of signs"]) < 4
    assert evidence.parts["z of writes"] > 7
    assert "signs of neurons flipped" in evidence.disguise


def test_what_neurons_read_decides_what_they_write_in_strangers_too() -> None:
    """H0, ungated, without the tolerance: writes regressed on reads are far less alike than writes themselves."""
    rng = np.random.default_rng(6)
    z, raw = [], []
    for _ in range(60):
        found = correspondence(simulated(rng, gated=False), simulated(rng, gated=False))
        if len(found.matches) < 2:
            continue
        z.append(sign_test(np.concatenate(write_agreements(found, 0.0))).z)
        raw.append(sign_test(np.concatenate(sign_agreements(found))).z)  # ups, which were matched, and downs
    assert len(z) > 30
    assert np.mean(raw) > 5
    assert abs(np.mean(z)) < 1


@pytest.mark.parametrize(("gated", "admitted"), [(True, {"signs", "writes", "signs by tokens"}), (False, {"writes"})])
def test_every_look_is_counted(monkeypatch: pytest.MonkeyPatch, gated: bool, admitted: set[str]) -> None:
    """Where no look decides all are taken, and the p-value is the smallest times their number. So a look that somebody adds
    without counting it fails here, wherever it is added."""
    one = SignTestResult(z=3.0, log10_p=-3.0, bound=False)
    monkeypatch.setattr(matched_neurons, "sign_test", lambda values: one)
    rng = np.random.default_rng(13)
    parent = simulated(rng, gated=gated)
    evidence = matched_neurons.METHOD(parent, disguised(parent, rng))
    taken = {name.removeprefix("z of ") for name in evidence.parts if name.startswith("z of ")}
    assert taken == admitted == {look.name for look in matched_neurons.looks_at(signs=gated)}
    assert evidence.log10_p == -3 + math.log10(len(taken))


def test_looks_are_told_apart() -> None:
    """Names and phrases of looks differ, and the looks at a kind of model are some of them."""
    looks = matched_neurons.LOOKS
    assert len({look.name for look in looks}) == len({look.phrase for look in looks}) == len(looks)
    assert matched_neurons.looks_at(signs=True) == looks


def test_one_layer_and_no_layer() -> None:
    """A model of one layer has signs to test, and no second layer for a rotation of its own; without an FFN nothing applies."""
    rng = np.random.default_rng(7)
    single = simulated(rng, gated=True, layers=1)
    assert matched_neurons.METHOD(single, single).applies
    ungated = simulated(rng, gated=False, layers=1)
    assert "only one" in matched_neurons.METHOD(ungated, ungated).note
    bare = Weights("bare", "memory", single.facts, {p: i for p, i in single.parts.items() if p[1] in ("q", "k", "v", "o")}, {})
    assert "no FFN" in matched_neurons.METHOD(single, bare).note
    assert "gated" in matched_neurons.METHOD(single, ungated).note


def test_weights_that_are_not_finite() -> None:
    """Neurons with NaN take no part; a model of nothing but NaN is not compared, and nothing raises."""
    rng = np.random.default_rng(8)
    parent = simulated(rng, gated=True)
    arrays: dict[Place, Any] = {place: np.array(item.read()) for place, item in parent.parts.items()}
    arrays[1, "gate", None][:5] = np.nan
    evidence = matched_neurons.METHOD(parent, weights_of(arrays, 3))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    nothing = weights_of({place: np.full_like(array, np.nan) for place, array in arrays.items()}, 3)
    assert not matched_neurons.METHOD(parent, nothing).applies


def fake_forms(rng: np.random.Generator, layers: int = 4, neurons: int = 128) -> Fingerprint:
    """A fingerprint whose invariants depend on each other, and whose signs are random."""
    common = rng.standard_t(4, (layers, neurons, 1))
    forms = 0.6 * common + rng.normal(size=(layers, neurons, 30)) + np.linspace(-1, 1, 30)
    forms[..., 0] = 0
    odd = forms[..., ODD] + 2 * common + 1
    forms[..., ODD] = odd * rng.choice([-1, 1], (layers, neurons, 1))
    return Fingerprint("fake", {"neurons.forms": forms})


def test_invariants_are_uniform_for_unrelated_models() -> None:
    """H0: signs are random, all else depends on all else and has common means. 500 pairs, some of unequal depth: uniform."""
    rng = np.random.default_rng(9)
    p = []
    for pair in range(500):
        evidence = matched_invariants.METHOD(fake_forms(rng, 4 + (pair % 8 == 1)), fake_forms(rng, 4 + (pair % 8 == 3)))
        assert evidence.log10_p is not None, evidence.note
        p.append(10**evidence.log10_p)
    print(f"invariants: smallest {min(p):.4f}, KS {kstest(p, 'uniform')}")
    assert kstest(p, "uniform").pvalue > 1e-3
    assert min(p) > 1e-5


@pytest.mark.parametrize("layers", [[0, 1, 2, 3, 4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 1, 2, 3, 4, 5]])
def test_invariants_find_shuffled_neurons(layers: list[int]) -> None:
    """Neurons in another order and a tenth of noise, layers dropped or repeated: found, with the right layer map."""
    rng = np.random.default_rng(10)
    parent = fake_forms(rng, 6)
    child = np.array(parent.traits["neurons.forms"])[layers]
    child[..., 1:] += 0.1 * rng.normal(size=child[..., 1:].shape)
    child = np.stack([layer[rng.permutation(len(layer))] for layer in child])
    evidence = matched_invariants.METHOD(parent, Fingerprint("child", {"neurons.forms": child}))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    assert evidence.layer_map == tuple(layers)


def test_copied_experts_and_layers_count_once() -> None:
    """H0: two upcycled, up-scaled strangers. Experts and layers are copies that share their signs; 200 pairs: uniform."""
    rng = np.random.default_rng(11)

    def copied() -> Fingerprint:
        forms = np.array(fake_forms(rng, 2).traits["neurons.forms"])
        experts = np.concatenate([forms + 1e-3 * rng.normal(size=forms.shape) for _ in range(3)], axis=1)
        experts[..., 0] = np.repeat(np.arange(3), forms.shape[1])
        return Fingerprint("copied", {"neurons.forms": np.concatenate([experts, experts + 1e-3], axis=0)})

    p = []
    for _ in range(200):
        evidence = matched_invariants.METHOD(copied(), copied())
        assert evidence.log10_p is not None
        p.append(10**evidence.log10_p)
    assert kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", ["disguise", "rotate", "permute", "scale", "mix", "split", "fold-gains"])
def test_disguises_of_shipped_models(name: str, models: Path, tmp_path: Path) -> None:
    """A fine-tune of small models that ship with kinprint, in every disguise: found from fingerprints and by --deep."""
    options: dict[str, Any] = {} if name == "fold-gains" else {"seed": 0}
    options |= {"steps": DISGUISE} if name == "disguise" else {}
    transforms.apply(name, models / "finetune", tmp_path / "copy", **options)
    evidence = matched_invariants.METHOD(fingerprint(models / "base"), fingerprint(tmp_path / "copy"))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    deep = compare(models / "base", tmp_path / "copy", deep=True)
    assert deep.verdict == "related"
    assert deep.log10_p is not None
    assert deep.log10_p < -12
    told = next(item.disguise for item in deep.evidence if item.method == "matched-neurons")
    said = {"rotate": "rotated", "permute": "channels permuted", "scale": "scaled", "split": "split", "fold-gains": "folded"}
    assert name not in said or said[name] in ", ".join(told)


def test_shipped_stranger_is_not_accused(models: Path, tmp_path: Path) -> None:
    """H0: another seed on the same data in the same order, disguised."""
    transforms.apply("disguise", models / "twin", tmp_path / "copy", seed=0, steps=DISGUISE)
    deep = compare(models / "base", tmp_path / "copy", deep=True)
    assert deep.verdict == "no-evidence"


def test_a_fingerprint_cannot_be_compared_deeply(models: Path, tmp_path: Path) -> None:
    """--deep needs weights: a .kinprint file is refused with the remedy."""
    from kinprint.errors import CheckpointError

    fingerprint(models / "base").save(tmp_path / "base.kinprint")
    with pytest.raises(CheckpointError, match="the checkpoint it was made from"):
        compare(tmp_path / "base.kinprint", models / "finetune", deep=True)
    with pytest.raises(CheckpointError, match="holds no weights"):
        compare(fingerprint(models / "base"), models / "finetune", deep=True)


def fake_ungated(rng: np.random.Generator, layers: int = 4, neurons: int = 256) -> Fingerprint:
    """A fingerprint of neurons without a gate: how they write depends on how they read, the same way in every model."""
    reads = rng.standard_t(5, (layers, neurons, 5))
    mix = np.random.default_rng(77).normal(size=(5, 9))
    writes = reads @ mix + np.abs(reads) @ mix[::-1] + 2 * rng.normal(size=(layers, neurons, 9))
    forms = np.full((layers, neurons, len(COLUMNS)), np.nan)
    forms[..., EXPERT] = 0
    forms[..., matched_writes.READS_UNGATED], forms[..., matched_writes.WRITES_UNGATED] = reads, writes
    return Fingerprint("ungated", {"neurons.forms": forms})


def test_writes_of_strangers_are_nothing() -> None:
    """H0: independent models whose writes depend on reads, not linearly. 100 pairs: uniform without the tolerance, none small
    with it."""
    rng = np.random.default_rng(12)
    plain, p = [], []
    for _ in range(100):
        one, other = fake_ungated(rng), fake_ungated(rng)
        sides = [matched_writes.Side.of(np.asarray(model.traits["neurons.forms"]), gated=False) for model in (one, other)]
        each = [matched_writes.agreements(*sides, layer, layer, 0.0) for layer in range(4)]
        plain.append(10 ** sign_test(np.concatenate(each)).log10_p)
        p.append(10 ** (matched_writes.METHOD(one, other).log10_p or 0.0))
    print(f"writes without tolerance: smallest {min(plain):.4f}, KS {kstest(plain, 'uniform')}")
    assert kstest(plain, "uniform").pvalue > 1e-3
    assert min(p) > 1e-4


def test_a_tolerance_takes_away_as_many_times_the_weight_of_a_match() -> None:
    """What it takes grows with it. A model agrees with itself by half a tolerance of 1 and more, with strangers by nothing."""
    rng = np.random.default_rng(15)
    one, other = (matched_writes.Side.of(np.asarray(fake_ungated(rng).traits["neurons.forms"]), gated=False) for _ in range(2))
    plain, less, least = (matched_writes.agreements(one, other, 0, 0, tolerance) for tolerance in (0.0, 0.02, 1.0))
    np.testing.assert_allclose(plain - less, 0.02 * (plain - least))
    assert plain.sum() < 0.1 * (plain - least).sum()
    plain, least = (matched_writes.agreements(one, one, 0, 0, tolerance) for tolerance in (0.0, 1.0))
    assert plain.sum() > 0.5 * (plain - least).sum()


@pytest.mark.parametrize("layers", [[0, 1, 2, 3], [0, 2, 3]])
def test_writes_find_shuffled_neurons(layers: list[int]) -> None:
    """Neurons without a gate in another order and a tenth of noise: found, with the layer map."""
    rng = np.random.default_rng(13)
    parent = fake_ungated(rng)
    child = np.array(parent.traits["neurons.forms"])[layers]
    child[..., 1:] += 0.1 * rng.normal(size=child[..., 1:].shape)
    child = np.stack([layer[rng.permutation(len(layer))] for layer in child])
    evidence = matched_writes.METHOD(parent, Fingerprint("child", {"neurons.forms": child}))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    assert evidence.layer_map == tuple(layers)


def test_gates_decide_which_test_applies() -> None:
    """Signs are for gated neurons, writes for all; a pair of one of each kind has neither."""
    rng = np.random.default_rng(14)
    gated, ungated = fake_forms(rng), fake_ungated(rng)
    assert matched_invariants.METHOD(gated, gated).applies
    assert matched_writes.METHOD(gated, gated).applies
    assert matched_writes.METHOD(ungated, ungated).applies
    assert not matched_invariants.METHOD(ungated, ungated).applies
    assert "gate" in matched_writes.METHOD(gated, ungated).note
    assert "gate" in matched_invariants.METHOD(gated, ungated).note
