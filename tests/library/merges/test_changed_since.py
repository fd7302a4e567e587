"""Parts are found although something was done after the merge, and models that are no part are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from library.merges.gathered import Entries, base, child, combined, fingerprint

from kinprint.library.merges.combination import Data
from kinprint.library.merges.gather import gather
from kinprint.library.merges.gather_result import Gathering
from kinprint.library.merges.per_tensor import experts, group_fit, whole_of
from kinprint.library.merges.sampled_entries import matrix_of, places, spacing, values

Family = dict[str, Entries]
LAYERS = 8


@pytest.fixture(scope="module")
def family() -> Family:
    """A base, five children of it, and two strangers."""
    rng = np.random.default_rng(21)
    origin = base(rng, LAYERS)
    children = {f"child{n}": child(rng, origin, 0.3) for n in range(5)}
    return {"base": origin, **children, **{f"stranger{n}": base(rng, LAYERS) for n in range(2)}}


def noisy(rng: np.random.Generator, entries: Entries, amount: float) -> Entries:
    """Normal numbers of `amount` times the deviation of each tensor."""
    return {name: value + amount * value.std() * rng.normal(size=value.shape) for name, value in entries.items()}


def taken_apart(family: Family, made: Entries, without: Sequence[str] = ()) -> Gathering:
    return gather(fingerprint("suspect", made), [fingerprint(n, e) for n, e in family.items() if n not in without])


def data(suspect: Entries, others: Sequence[Entries]) -> Data:
    model = fingerprint("suspect", suspect)
    where, entries = places(model), values(model, model)
    known = matrix_of([fingerprint(str(number), other) for number, other in enumerate(others)], model)
    return Data(entries, known, where, spacing(model, where, entries))


@pytest.mark.parametrize("shares", [{"child0": 0.6, "child1": 0.4}, {"child0": 0.8, "child1": 0.7, "base": -0.5}])
@pytest.mark.parametrize("amount", [0.05, 0.2, 0.4])
def test_noise_beyond_the_distance_of_the_parts(family: Family, shares: dict[str, float], amount: float) -> None:
    """Parts, and no sister or stranger; coefficients within four of their standard errors, in the whole and in tensors."""
    rng = np.random.default_rng(5)
    gathering = taken_apart(family, noisy(rng, combined([(c, family[name]) for name, c in shares.items()]), amount))
    assert {parent.model.name for parent in gathering.parents} == set(shares)
    for at, parent in enumerate(gathering.parents):
        truth = shares[parent.model.name]
        assert parent.error is not None
        assert abs(parent.coefficient - truth) < 4 * parent.error
        off = [(one.coefficients[at] - truth) / one.errors[at] for one in gathering.tensors]
        assert np.mean(np.abs(off) < 2) > 0.85
    assert any("Coefficients are the same in all tensors" in note for note in gathering.notes)


def test_stated_errors_after_noise(family: Family) -> None:
    """Intervals of two standard errors hold the truth in 95 of 100 merges, and a sister's hold nothing as often (null
    hypothesis: no part of it)."""
    rng = np.random.default_rng(6)
    made = combined([(0.6, family["child0"]), (0.4, family["child1"])])
    off = []
    for _ in range(80):
        whole = whole_of(data(noisy(rng, made, 0.3), [family[f"child{n}"] for n in range(3)]), (0, 1, 2))
        assert whole is not None
        off.append((whole.coefficients - [0.6, 0.4, 0.0]) / whole.errors)
    inside = np.mean(np.abs(off) < 2, axis=0)
    assert (inside >= 0.88).all()
    assert abs(np.mean(off)) < 0.2


def test_a_sister_is_no_part_of_a_merge_that_was_trained_towards_it(family: Family) -> None:
    """Null hypothesis: the sister shares a direction of training, in some tensors more than in others."""
    rng = np.random.default_rng(7)
    made = combined([(0.6, family["child0"]), (0.4, family["child1"])])
    for name, value in made.items():
        towards = rng.exponential(0.2, (LAYERS, 1)) * (family["child2"][name] - family["base"][name])
        made[name] = value + towards + 0.1 * value.std() * rng.normal(size=value.shape)
    assert {parent.model.name for parent in taken_apart(family, made).parents} == {"child0", "child1"}


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("without", [(), ("base",)])
@pytest.mark.parametrize("name", ["base", "child0"])
def test_relatives_are_no_parts(family: Family, name: str, without: tuple[str, ...], amount: float) -> None:
    """Null hypothesis: an origin, or a sister, whether the library holds the origin or not, with noise or without."""
    made = noisy(np.random.default_rng(8), family[name], amount)
    assert taken_apart(family, made, without=(name, *without)).kind == "single"


def test_sisters_with_an_origin_of_their_own_are_no_parts() -> None:
    """Null hypothesis: all come from one model that the library lacks; each is as much like the suspect as like the others."""
    rng = np.random.default_rng(9)
    origin = base(rng, LAYERS)
    shared = child(rng, origin, 0.3)
    sisters = {f"sister{n}": child(rng, shared, 0.3) for n in range(4)}
    others = {f"other{n}": child(rng, origin, 0.3) for n in range(2)}
    assert taken_apart({"base": origin, **sisters, **others}, child(rng, shared, 0.3)).kind == "single"


def dropped(rng: np.random.Generator, family: Family, weights: dict[str, float], kind: str) -> Entries:
    """DARE at one half, or Breadcrumbs without the largest 2 % and the smallest 40 %."""
    made = {}
    for name, origin in family["base"].items():
        total = origin.astype(np.dtype("bfloat16")).astype(np.float64)
        for part, weight in weights.items():
            delta = family[part][name].astype(np.dtype("bfloat16")) - origin.astype(np.dtype("bfloat16"))
            delta = delta.astype(np.float64)
            rank = np.argsort(np.argsort(np.abs(delta), axis=1), axis=1) / delta.shape[1]
            mask = 2.0 * (rng.random(delta.shape) < 0.5) if kind == "dare" else (rank >= 0.4) & (rank < 0.98)
            total = total + weight * delta * mask
        made[name] = total
    return made


@pytest.mark.parametrize("kind", ["dare", "breadcrumbs"])
def test_dropped_differences(family: Family, kind: str) -> None:
    """The kind, the parts, the base, the weights, and how much was kept."""
    weights = {"child0": 0.7, "child1": 0.5}
    gathering = taken_apart(family, dropped(np.random.default_rng(10), family, weights, kind))
    assert gathering.kind == kind
    assert gathering.base is not None
    assert gathering.base.name == "base"
    found = {parent.model.name: parent.coefficient for parent in gathering.parents}
    assert {name: found[name] for name in weights} == pytest.approx(weights, abs=0.03)
    assert gathering.details["density"] == pytest.approx(0.5 if kind == "dare" else 0.58, abs=0.04)


def test_dropped_differences_after_noise(family: Family) -> None:
    """The parts, as a sum; how they were dropped can no longer be told."""
    rng = np.random.default_rng(11)
    gathering = taken_apart(family, noisy(rng, dropped(rng, family, {"child0": 0.8, "child1": 0.6}, "dare"), 0.02))
    assert {parent.model.name for parent in gathering.parents} == {"child0", "child1", "base"}


def test_a_copy_that_could_stand_in_a_parts_place_is_named(family: Family) -> None:
    """Behind noise, a part and its rounded copy are one."""
    rng = np.random.default_rng(12)
    copy = noisy(rng, family["child0"], 0.002)
    made = noisy(rng, combined([(0.6, family["child0"]), (0.4, family["child1"])]), 0.2)
    gathering = taken_apart({**family, "copy": copy}, made)
    first = next(parent for parent in gathering.parents if parent.model.name in ("child0", "copy"))
    assert {first.model.name, *first.instead} == {"child0", "copy"}


def test_experts_have_coefficients_of_their_own(family: Family) -> None:
    """Where sample i is of expert i modulo their number."""
    share = np.where(np.arange(256) % 4 == 2, 0.9, 0.3)
    one, other = family["child0"], family["child1"]
    made = {k: share * one[k] + (1 - share) * other[k] if k == "sample.up" else 0.3 * one[k] + 0.7 * other[k] for k in one}
    models = [
        fingerprint(name, entries, shapes={"up": [4, 32, 64]}) for name, entries in (("made", made), ("a", one), ("b", other))
    ]
    where, entries = places(models[0]), values(models[0], models[0])
    known = Data(entries, matrix_of(models[1:], models[0]), where, spacing(models[0], where, entries))
    fits = [group_fit(known, (0, 1), group) for group in experts(where)]
    found = {(one.group.layer, one.group.expert): one.coefficients[0] for one in fits if one is not None}
    assert len(found) == 4 * LAYERS
    assert found == pytest.approx({key: 0.9 if key[1] == 2 else 0.3 for key in found}, abs=0.05)
