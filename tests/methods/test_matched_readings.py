"""Neurons matched by what their gates read of tokens: p-values under the null, what is found, and what is not tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest

from kinprint import compare, fingerprint, transforms
from kinprint.fingerprints import Fingerprint
from kinprint.methods.matched_readings import METHOD
from kinprint.zoo.recipes import DISGUISE

NEURONS, TOKENS = 128, 24
SHARED = np.random.default_rng(5)
MIX = SHARED.normal(size=(TOKENS, TOKENS))
"""How tokens go together, and how what a gate reads decides what its up reads: the same in every model."""

SHARED_KINDS = SHARED.normal(size=(8, TOKENS))


def simulated(rng: np.random.Generator, neurons: int = NEURONS) -> dict[str, NDArray[Any]]:
    """A model that has everything in common with every other but its neurons: tokens in few directions, sizes that depend on
    what is read, ups that depend on gates (linearly and not), and kinds of neurons of which every model has some."""
    kinds = SHARED_KINDS[rng.integers(0, len(SHARED_KINDS), neurons)]
    gate = (kinds + rng.standard_t(4, (neurons, TOKENS))) @ MIX
    size = np.exp(0.3 * rng.standard_t(4, (neurons, 1)) + 0.3 * np.tanh(gate[:, :1])).clip(0.05, 20)
    up = gate @ MIX.T + np.abs(gate) + 3 * rng.normal(size=(neurons, TOKENS))
    return {"readings.gate": size * gate, "readings.up": up * rng.choice([-1.0, 1.0], (neurons, 1))}


def p_of(reference: dict[str, NDArray[Any]], suspect: dict[str, NDArray[Any]]) -> float:
    found = METHOD(Fingerprint("reference", reference), Fingerprint("suspect", suspect))
    assert found.log10_p is not None, found.note
    return float(10**found.log10_p)


def test_p_values_are_uniform_for_unrelated_models() -> None:
    """H0: independent models whose neurons are of the same kinds, with ups that depend on gates. 1 000 pairs: uniform."""
    rng = np.random.default_rng(1)
    p = [p_of(simulated(rng), simulated(rng)) for _ in range(1000)]
    print(f"smallest {min(p):.4f}, KS {kstest(p, 'uniform')}")
    assert kstest(p, "uniform").pvalue > 1e-3
    assert min(p) > 1e-5


def test_copies_of_neurons_are_not_counted_twice() -> None:
    """H0: independent models, each with every neuron twice (split neurons, experts that were one). 300 pairs: uniform."""
    rng = np.random.default_rng(2)
    doubled = [{name: np.repeat(rows, 2, axis=0) for name, rows in simulated(rng).items()} for _ in range(600)]
    p = [p_of(*pair) for pair in zip(doubled[::2], doubled[1::2], strict=True)]
    print(f"copies: smallest {min(p):.4f}, KS {kstest(p, 'uniform')}")
    assert kstest(p, "uniform").pvalue > 1e-3


def test_half_of_the_neurons_in_another_order_are_enough() -> None:
    """Alternative: a noisy descendant whose leading neurons are others by half."""
    rng = np.random.default_rng(3)
    whole = simulated(rng, 2 * NEURONS)
    chosen = rng.permutation(2 * NEURONS)[:NEURONS]
    suspect = {name: rows[chosen] + 0.2 * rows.std() * rng.normal(size=(NEURONS, TOKENS)) for name, rows in whole.items()}
    assert p_of({name: rows[:NEURONS] for name, rows in whole.items()}, suspect) < 1e-6


def test_signs_decide() -> None:
    """H0 by construction: a copy whose signs were drawn anew is a stranger to this test."""
    rng = np.random.default_rng(4)
    model = simulated(rng)
    assert p_of(model, model) < 1e-12
    p = [p_of(model, model | {"readings.up": model["readings.up"] * rng.choice([-1, 1], (NEURONS, 1))}) for _ in range(200)]
    assert kstest(p, "uniform").pvalue > 1e-3


def test_fewer_tokens_are_compared_with_more() -> None:
    model = simulated(np.random.default_rng(5))
    assert p_of(model, {name: rows[:, :7] for name, rows in model.items()}) < 1e-6


@pytest.mark.parametrize("spoiled", ["infinite", "nan", "zero", "few", "unequal"])
def test_what_cannot_be_compared(spoiled: str) -> None:
    """Neurons that are not finite, or nothing, are left out; where too few are left, no p-value is given."""
    model = simulated(np.random.default_rng(6))
    other = {name: rows.copy() for name, rows in model.items()}
    if spoiled == "few":
        other = {name: rows[:3] for name, rows in other.items()}
    elif spoiled == "unequal":
        other["readings.up"] = other["readings.up"][:-1]
    else:
        value = {"infinite": 3e38, "nan": np.nan, "zero": 0.0}[spoiled]
        other["readings.up"] = other["readings.up"].astype(np.float32)
        other["readings.up"][:10] = value
    found = METHOD(Fingerprint("one", model), Fingerprint("other", other))
    if spoiled in ("few", "unequal"):
        assert found.log10_p is None
    else:
        assert found.log10_p is not None


def test_signs_that_are_not_free_are_not_tested() -> None:
    """gpt-oss multiplies its gate by (up + 1): no symmetry, no test."""
    model = simulated(np.random.default_rng(7))
    bound = Fingerprint("bound", model, {"free_signs": False})
    assert METHOD(bound, Fingerprint("other", model)).log10_p is None


@pytest.mark.parametrize("step", ["disguise", "rotate", "permute"])
def test_disguised_copies_are_found_quickly(step: str, models: Path, tmp_path: Path) -> None:
    """Alternative: a fine-tune in disguise, of which next to nothing is read. The independent twin in the same disguise is
    not accused."""
    for name, verdict in (("finetune", "related"), ("twin", "no-evidence")):
        options = {"steps": DISGUISE} if step == "disguise" else {}
        transforms.apply(step, models / name, tmp_path / name, seed=3, **options)
        assert compare(models / "base", tmp_path / name, quick=True).verdict == verdict
        assert compare(fingerprint(models / "base"), fingerprint(tmp_path / name, quick=True)).verdict == verdict
