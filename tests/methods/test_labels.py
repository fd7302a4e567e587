"""Models whose labels mean something: strangers with one habit are not accused, descendants with it are still found."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from kinprint import Fingerprint
from kinprint.comparison import examine
from kinprint.methods import known
from kinprint.transforms import known as transforms
from kinprint.zoo import habits

sys.path.insert(0, str(Path(__file__).parent))
from simulated import descendant, model

BY_INDEX = [method for method in known() if method.name in ("channels", "heads", "neurons", "experts", "routers")]
SOME = (
    *("neurons-sorted", "neurons-sorted-two-widths", "neurons-halves", "neurons-fourth", "neurons-padded-37"),
    *("neurons-fifth-zero", "heads-padded", "heads-sorted", "layers-two-noisy", "cloned-tiled-noisy", "cloned-repeated"),
    *("channels-nested", "channels-principal", "all-sorted"),
)


@pytest.mark.parametrize("name", SOME)
def test_strangers_with_one_habit_are_not_accused(name: str) -> None:
    """H0 with a habit: six random models have no p-value below 1e-4 among 15 pairs, and a noisy copy of one is related."""
    habit = habits.known()[name]
    family = "llama" if "llama" in habit.families else habit.families[0]
    models = [habit(habits.stranger(family, seed, habit.shape), seed) for seed in range(6)]
    prints = [habits.measured(one, f"{name}-{number}") for number, one in enumerate(models)]
    found = [examine((a, b), methods=BY_INDEX).log10_p for i, a in enumerate(prints) for b in prints[:i]]
    assert min(value for value in found if value is not None) > -4
    child = habits.measured(transforms()["noise"](models[0], amount=0.1, seed=99), "child")
    assert examine((prints[0], child), methods=BY_INDEX).verdict == "related"


def test_what_labels_mean_is_told() -> None:
    """Sorted neurons are named as such beside the test, with the p-value of random labels; those of the other model are not."""
    habit = habits.known()["neurons-sorted"]
    plain = habits.measured(habits.stranger("llama", 1, habit.shape), "plain")
    ordered = habits.measured(habit(habits.stranger("llama", 2, habit.shape), 2), "ordered")
    evidence = next(method for method in BY_INDEX if method.name == "neurons")(plain, ordered)
    assert "The neurons of ordered are sorted" in evidence.note
    assert "of plain are" not in evidence.note
    checks = {check.order: check.log10_p for check in evidence.labels["suspect"]}
    assert checks["sorted"] is not None
    assert checks["sorted"] < -20
    told = evidence.to_json()["labels"]
    assert {"order": "sorted", "log10_p": checks["sorted"]} in told["suspect"]


@pytest.mark.parametrize("method", BY_INDEX, ids=lambda method: method.name)
def test_the_order_of_two_models_does_not_matter(method: object) -> None:
    """compare A B and compare B A give one p-value, at equal and at unequal depth."""
    rng = np.random.default_rng(5)
    parent = model(rng, layers=8)
    for other in (model(rng, layers=8), model(rng, layers=6), descendant(parent, rng, 0.3, [0, 1, 3, 4, 6, 7])):
        one, two = method(parent, other), method(other, parent)  # type: ignore[operator]
        assert one.log10_p == pytest.approx(two.log10_p, abs=1e-9)


def test_chosen_signs_are_declined() -> None:
    """Two strangers whose neurons were all turned so that gate and up agree: signs are no evidence, and the test says so."""
    turned = []
    for seed in (1, 2):
        found = habits.measured(habits.stranger("llama", seed), f"stranger-{seed}")
        forms = np.array(found.traits["neurons.forms"])
        odd = [3, 4, 9, 10, 15, 16, 21, 22, 27, 28]
        forms[..., odd] *= np.sign(forms[..., 3:4])
        turned.append(Fingerprint(found.name, {**found.traits, "neurons.forms": forms}, found.facts))
    evidence = next(method for method in known() if method.name == "matched-invariants")(turned[0], turned[1])
    assert not evidence.applies
    assert "chose the signs" in evidence.note
