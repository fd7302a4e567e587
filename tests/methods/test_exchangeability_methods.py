"""The tests by index, on simulated models: they hold their level, and they see descent."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from kinprint.fingerprints import Fingerprint
from kinprint.methods import Method, known

sys.path.insert(0, str(Path(__file__).parent))
from simulated import CHANNELS, GROUPS, MEMBERS, NEURONS, descendant, model

TESTS = [
    method
    for method in known()
    if method.kind == "test" and not method.name.startswith("matched-") and method.name not in ("embedding", "output-head")
]
"""Those of one matrix, which have no layers, are in test_columns.py."""
PAIRS = 500
named = pytest.mark.parametrize("method", TESTS, ids=lambda method: method.name)


@named
def test_p_values_are_uniform_for_unrelated_models(method: Method) -> None:
    """H0: the suspect is independent of the reference. 500 pairs, a quarter of them of unequal depth."""
    rng = np.random.default_rng(20260)
    values = []
    for pair in range(PAIRS):
        evidence = method(model(rng, layers=4 + (pair % 8 == 1)), model(rng, layers=4 + (pair % 8 == 3)))
        assert evidence.log10_p is not None, evidence.note
        values.append(10**evidence.log10_p)
    print(f"{method.name}: smallest p {min(values):.4f}, mean {np.mean(values):.3f}, KS {kstest(values, 'uniform')}")
    assert min(values) > 1e-5
    assert kstest(values, "uniform").pvalue > 1e-3


@named
def test_descendants_are_found(method: Method) -> None:
    """Values changed by a tenth: found with a p-value of at most 1e-12, on every layer."""
    rng = np.random.default_rng(1)
    parent = model(rng, layers=8)
    evidence = method(parent, descendant(parent, rng, 0.1))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    assert evidence.bound


@named
@pytest.mark.parametrize("layers", [[0, 1, 3, 4, 6, 7], [0, 1, 1, 2, 3, 4, 4, 5, 6, 7]], ids=["dropped", "repeated"])
def test_other_depths_are_found(method: Method, layers: list[int]) -> None:
    """Dropped and repeated layers: found, with the right layer map."""
    rng = np.random.default_rng(2)
    parent = model(rng, layers=8)
    evidence = method(parent, descendant(parent, rng, 0.03, layers))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -12
    assert list(evidence.layer_map or ()) == layers


@named
def test_relabelled_copies_are_not_seen(method: Method) -> None:
    """The limit of every test by index: a copy with its units relabelled looks unrelated."""
    rng = np.random.default_rng(3)
    parent = model(rng, layers=6)
    orders = {
        "channels": [rng.permutation(CHANNELS)] * 6,
        "gains": None,
        "neurons": [rng.permutation(NEURONS) for _ in range(6)],
        "heads": [rng.permutation(GROUPS * MEMBERS) for _ in range(6)],
        "experts": [rng.permutation(16) for _ in range(6)],
    }
    orders["gains"] = orders["channels"]
    traits = {
        name: np.stack([row[order] for row, order in zip(trait, orders[name.partition(".")[0]], strict=True)])
        for name, trait in parent.traits.items()
    }
    evidence = method(parent, Fingerprint("relabelled", traits, parent.facts))
    assert evidence.log10_p is not None
    assert evidence.log10_p > -4


@pytest.mark.parametrize("name", ["channels", "neurons", "experts"])
def test_pruned_units_are_found_by_their_order(name: str) -> None:
    """A quarter of the units removed: the order of the rest gives descent away, for an unrelated model it does not."""
    rng = np.random.default_rng(4)
    parent, stranger = model(rng, layers=8), model(rng, layers=8)
    units = {"channels": CHANNELS, "neurons": NEURONS, "experts": 16}[name]
    kept = np.sort(rng.choice(units, units * 3 // 4, replace=False))
    method = next(method for method in TESTS if method.name == name)
    prefixes = {"channels": ("channels.", "gains."), "neurons": ("neurons.",), "experts": ("experts.",)}[name]
    found = {}
    for source in (parent, stranger):
        changed = descendant(source, rng, 0.01)
        traits = {key: trait[:, kept] for key, trait in changed.traits.items() if key.startswith(prefixes)}
        found[source is parent] = method(parent, Fingerprint("pruned", traits, parent.facts))
    assert found[True].log10_p is not None
    assert found[True].log10_p < -7
    assert found[False].log10_p is not None
    assert found[False].log10_p > -4


def test_pruned_heads_are_found() -> None:
    """Groups of unequal size: heads are matched inside groups, groups by index."""
    rng = np.random.default_rng(5)
    parent = model(rng, layers=12)
    kept = [group * MEMBERS for group in range(GROUPS)]
    changed = descendant(parent, rng, 0.03)
    traits = {name: trait[:, kept] for name, trait in changed.traits.items() if name.startswith("heads.")}
    pruned = Fingerprint("pruned", traits, {"num_key_value_heads": GROUPS})
    evidence = next(method for method in TESTS if method.name == "heads")(parent, pruned)
    assert evidence.log10_p is not None
    assert evidence.log10_p < -7
    assert "matched inside groups" in evidence.note


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, "num_key_value_heads"),
        ({"num_key_value_heads": 3}, "not a multiple"),
        ({"num_key_value_heads": GROUPS, "positions": "alibi"}, "ALiBi"),
        ({"num_key_value_heads": "many"}, "num_key_value_heads"),
    ],
)
def test_heads_say_why_they_do_not_apply(facts: dict[str, object], reason: str) -> None:
    """Where the null hypothesis would not hold the test is silent, and says so."""
    parent = model(np.random.default_rng(6))
    odd = Fingerprint("odd", parent.traits, facts)
    evidence = next(method for method in TESTS if method.name == "heads")(parent, odd)
    assert not evidence.applies
    assert reason in evidence.note


@named
def test_too_few_units_cannot_decide(method: Method) -> None:
    """With so few relabellings that no p-value could be small, the test declines rather than never accusing in silence."""
    parent = model(np.random.default_rng(7), layers=1)
    small = {name: trait[:, :2] for name, trait in parent.traits.items()}
    few = Fingerprint("few", small, {"num_key_value_heads": 1})
    assert "too few" in method(few, few).note


@named
def test_absent_values_count_for_nothing(method: Method) -> None:
    """A layer or a unit without a quantity (NaN: a dead neuron) takes no part; the others still decide."""
    rng = np.random.default_rng(8)
    parent = model(rng, layers=8)
    child = descendant(parent, rng, 0.05)
    holed = {}
    for name, trait in child.traits.items():
        holed[name] = trait.copy()
        holed[name][2] = np.nan
        holed[name][:, 0] = np.nan
    evidence = method(parent, Fingerprint("holed", holed, child.facts))
    assert evidence.log10_p is not None
    assert evidence.log10_p < (-10 if method.name == "heads" else -12)  # a group without one of its heads takes no part
