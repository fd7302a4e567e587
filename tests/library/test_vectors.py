"""Vectors of relatives lie near each other, whatever the disguise that their space allows for; those of strangers do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kinprint import fingerprint, transforms
from kinprint.fingerprints import Fingerprint
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import BLOCK, vectors, waves
from kinprint.zoo.recipes import DISGUISE

LAYERS, CHANNELS, NEURONS = 4, 512, 1024
ODD = (3, 4, 9, 10, 15, 16, 21, 22, 27, 28)


def model(rng: np.random.Generator) -> Fingerprint:
    """A stranger: the mixing of its features, its depth trend and its skewness are those of every other."""
    mixing = np.random.default_rng(0).normal(size=(30, 30)) / 5 + np.eye(30)
    forms = rng.normal(size=(LAYERS, NEURONS, 30)) @ mixing
    forms = np.where(np.isin(np.arange(30), ODD), forms, np.exp(0.3 * forms))  # skewed, except what has a random sign
    forms[..., ODD] *= rng.choice([-1, 1], size=(LAYERS, NEURONS, 1))
    forms[..., 0] = 0
    trend = 1 + np.arange(LAYERS)[:, None]
    traits = {
        f"channels.{role}": trend * np.exp(0.3 * rng.normal(size=(LAYERS, CHANNELS))) for role in ("q", "k", "v", "o", "up")
    }
    traits["embedding.input"] = rng.normal(size=CHANNELS)
    traits["neurons.invariants"] = rng.normal(size=(LAYERS, NEURONS, 5)) + trend[..., None]
    tokens = np.random.default_rng(9).normal(size=(64, 64))
    traits["readings.gate"] = rng.normal(size=(NEURONS, 64)) @ tokens
    traits["readings.up"] = (rng.normal(size=(NEURONS, 64)) @ tokens + traits["readings.gate"]) * rng.choice(
        [-1, 1], size=(NEURONS, 1)
    )
    return Fingerprint("model", {**traits, "neurons.forms": forms}, {"free_signs": True})


def changed(parent: Fingerprint, layers: list[int], noise: float, rng: np.random.Generator) -> Fingerprint:
    """Some of the layers, every value with noise."""
    traits = {}
    for name, trait in parent.traits.items():
        whole = trait.ndim == 1 or name.startswith("readings")
        kept = np.asarray(trait, np.float64)[layers] if not whole else np.asarray(trait, np.float64)
        spread = kept.std(axis=-2, keepdims=True) if kept.ndim == 3 or name.startswith("readings") else kept.std()
        traits[name] = np.where(spread > 0, kept + noise * spread * rng.normal(size=kept.shape), kept)
    return Fingerprint("changed", traits, parent.facts)


def relabelled(parent: Fingerprint, rng: np.random.Generator) -> Fingerprint:
    """Channels and neurons in another order, as `permute` leaves them."""
    traits = {name: np.asarray(trait) for name, trait in parent.traits.items()}
    channels, first = rng.permutation(CHANNELS), rng.permutation(NEURONS)
    for name in traits:
        if name.startswith("readings"):
            traits[name] = traits[name][first]
        elif name.startswith("neurons"):
            traits[name] = np.stack([layer[rng.permutation(len(layer))] for layer in traits[name]])
        else:
            traits[name] = traits[name][..., channels]
    return Fingerprint("relabelled", traits, parent.facts)


def cosines(a: Fingerprint, b: Fingerprint) -> dict[str, float]:
    ours, theirs = vectors(a), vectors(b)
    return {space: float(ours[space] @ theirs[space]) for space in ours if space in theirs}


def test_unit_vectors_of_the_length_each_space_states() -> None:
    found = vectors(model(np.random.default_rng(1)))
    assert found.keys() == DIMENSIONS.keys()
    for space, vector in found.items():
        assert vector.shape == (DIMENSIONS[space],)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_same_model_gives_the_same_vectors() -> None:
    """Vectors are stored for years: their pseudo-random numbers may not depend on process, platform or library version."""
    parent = model(np.random.default_rng(1))
    for space, vector in vectors(Fingerprint("again", parent.traits, parent.facts)).items():
        assert np.array_equal(vector, vectors(parent)[space])
    ramp = Fingerprint("ramp", {"embedding.input": np.arange(1.0, 301.0)})
    assert vectors(ramp)["channels"][:4] == pytest.approx((-0.000965, 0.07006, -0.050834, 0.211882), abs=1e-5)


def test_strangers_have_cosines_around_zero() -> None:
    """H0: independent models. Cosines then have mean 0 and a spread near 1 / sqrt(dimensions): 3 standard errors for means."""
    rng = np.random.default_rng(2)
    found = [vectors(model(rng)) for _ in range(24)]
    for space, dimensions in DIMENSIONS.items():
        both = [float(a[space] @ b[space]) for i, a in enumerate(found) for b in found[:i]]
        spread = np.std(both) * np.sqrt(dimensions)
        assert 0.7 < spread < 1.5, space
        assert abs(np.mean(both)) < 0.25 / np.sqrt(dimensions), space


def test_a_descendant_with_dropped_layers_is_near_in_every_space() -> None:
    rng = np.random.default_rng(3)
    parent = model(rng)
    found = cosines(parent, changed(parent, [0, 1, 3], 0.1, rng))
    assert min(found.values()) > 0.6
    assert found.keys() == DIMENSIONS.keys()


def test_relabelled_units_are_lost_by_index_and_found_without_labels() -> None:
    rng = np.random.default_rng(4)
    parent = model(rng)
    found = cosines(parent, relabelled(changed(parent, [0, 1, 2, 3], 0.1, rng), rng))
    assert min(found["forms"], found["signs"], found["readings"]) > 0.7
    assert max(abs(found["channels"]), abs(found["neurons"])) < 0.4


def test_turned_signs_are_lost_by_signs_alone() -> None:
    rng = np.random.default_rng(5)
    parent = model(rng)
    forms = np.array(parent.traits["neurons.forms"])
    forms[..., ODD] *= rng.choice([-1, 1], size=(LAYERS, NEURONS, 1))
    readings = {name: parent.traits[name] for name in ("readings.gate", "readings.up")}
    readings["readings.up"] = readings["readings.up"] * rng.choice([-1, 1], size=(NEURONS, 1))
    found = cosines(parent, Fingerprint("flipped", {"neurons.forms": forms, **readings}, parent.facts))
    assert found["forms"] > 0.99
    assert max(abs(found["signs"]), abs(found["readings"])) < 0.3


def test_signs_only_where_they_are_free() -> None:
    parent = model(np.random.default_rng(6))
    assert not {"signs", "readings"} & vectors(Fingerprint("tied", parent.traits, {"free_signs": False})).keys()
    forms = np.array(parent.traits["neurons.forms"])
    forms[..., [3, 4, 1, *ODD]] = np.nan
    assert vectors(Fingerprint("no gate", {"neurons.forms": forms})).keys() == {"forms"}


def test_models_of_other_widths_look_like_strangers_by_index() -> None:
    parent = model(np.random.default_rng(7))
    narrow = {name: trait[..., :-1] for name, trait in parent.traits.items() if not name.startswith(("neurons", "readings"))}
    narrow["neurons.invariants"] = parent.traits["neurons.invariants"][:, :-1]
    found = cosines(parent, Fingerprint("narrow", narrow))
    assert max(map(abs, found.values())) < 0.4


def test_blocks_do_not_change_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = model(np.random.default_rng(8))
    before = vectors(parent)
    assert BLOCK < LAYERS * NEURONS
    monkeypatch.setattr("kinprint.library.vectors.BLOCK", 100_000)
    for space, vector in vectors(parent).items():
        assert vector == pytest.approx(before[space], abs=1e-6)


def test_sums_of_float32_are_those_of_float64() -> None:
    """To a millionth of their length, so that no order of neighbours depends on it but of those a millionth apart."""
    rng = np.random.default_rng(9)
    odd, even = rng.normal(size=(3000, 9)), rng.normal(size=(3000, 20))
    turns, ways, shifts = rng.normal(size=(9, 64)), rng.normal(size=(20, 64)), rng.uniform(0, 7, 64)
    exact = (np.sin(odd @ turns) * np.cos(even @ ways + shifts)).sum(axis=0)
    assert np.linalg.norm(waves(odd, turns, even, ways, shifts) - exact) < 2e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    "traits",
    [
        {},
        {"embedding.input": np.ones(64)},
        {"channels.q": np.full((2, 64), np.nan), "neurons.forms": np.full((2, 8, 30), np.nan)},
        {"neurons.forms": np.zeros((1, 1, 30)), "neurons.invariants": np.zeros((1, 1, 5))},
    ],
    ids=["nothing", "constant", "absent", "one neuron"],
)
def test_what_says_nothing_has_no_vector_or_a_finite_one(traits: dict[str, NDArray[np.floating]]) -> None:
    for vector in vectors(Fingerprint("empty", traits)).values():
        assert np.isfinite(vector).all()
    assert "channels" not in vectors(Fingerprint("empty", traits))


def test_a_disguised_copy_of_a_trained_model_is_near_and_its_twin_is_not(models: Path, tmp_path: Path) -> None:
    """Shipped models; the copy of the fine-tune is folded, rotated, scaled, mixed, split and permuted."""
    transforms.apply("disguise", models / "finetune", tmp_path / "copy", seed=7, steps=DISGUISE)
    base, copy, twin = (fingerprint(path) for path in (models / "base", tmp_path / "copy", models / "twin"))
    near, far = cosines(base, copy), cosines(base, twin)
    for space in ("forms", "signs", "readings"):
        assert near[space] > far[space] + 0.2, space


def test_a_few_neurons_of_a_disguised_copy_are_enough_for_readings(models: Path, tmp_path: Path) -> None:
    """Shipped models by quick fingerprints, beside full ones."""
    transforms.apply("disguise", models / "finetune", tmp_path / "copy", seed=7, steps=DISGUISE)
    base, copy, twin = fingerprint(models / "base"), *(fingerprint(p, quick=True) for p in (tmp_path / "copy", models / "twin"))
    assert cosines(base, copy)["readings"] > cosines(base, twin)["readings"] + 0.2
