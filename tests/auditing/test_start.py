"""The start: p-values under random starts of several initialisers, and what is seen of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from kinprint import Fingerprint
from kinprint.auditing.chain import Stage
from kinprint.auditing.start import start_findings, start_tests

LAYERS, HIDDEN, NEURONS, ROLES = 4, 64, 96, ("q", "k", "v", "o", "up", "down")

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

INITIALISERS: dict[str, Draw] = {
    "normal, deeper layers smaller": lambda rng, shape: rng.normal(0, 0.02, shape) / np.sqrt(1 + np.arange(shape[0]))[:, None],
    "uniform": lambda rng, shape: rng.uniform(-0.1, 0.1, shape),
    "normal cut at 2 deviations": lambda rng, shape: stats.truncnorm(-2, 2).rvs(shape, random_state=rng),
}


def start(rng: np.random.Generator, draw: Draw) -> dict[str, np.ndarray]:
    """Traits of a random start, each distributed as measuring would find it: sizes of units are independent."""
    traits = {f"sample.{role}": draw(rng, (LAYERS, 256)) for role in ROLES}
    traits |= {f"channels.{role}": 1 + 0.1 * rng.normal(size=(LAYERS, HIDDEN)) for role in ROLES}
    traits["neurons.norms"] = 1 + 0.1 * rng.normal(size=(LAYERS, NEURONS, 3))
    traits["gains.input"] = np.ones((LAYERS, HIDDEN))
    traits["biases.up"] = draw(rng, (LAYERS, NEURONS))
    return traits


def values(traits: dict[str, np.ndarray]) -> dict[str, float]:
    return {test.name: test.log10_p for test in start_tests(Fingerprint("start", traits)) if test.log10_p is not None}


@pytest.mark.parametrize("initialiser", INITIALISERS)
def test_p_values_hold_for_random_starts(initialiser: str) -> None:
    """H0: a random start. 150 starts of each initialiser: p-values of agreement are uniform but for the correction, those of
    entries, of which the best family counts, are no smaller than uniform."""
    rng = np.random.default_rng(1)
    found = [values(start(rng, INITIALISERS[initialiser])) for _ in range(150)]
    assert stats.kstest([10 ** each["channels"] for each in found], "uniform").pvalue > 1e-3
    for name in ("entries", "neurons"):
        p = np.array([10 ** each[name] for each in found])
        assert stats.kstest(p, "uniform", alternative="greater").pvalue > 1e-3, name
        assert p.min() > 1e-4


def test_bfloat16_makes_no_entries_of_their_own() -> None:
    """H0: a random start, rounded to 8 significant bits. p-values of entries are no smaller than uniform."""
    rng, p = np.random.default_rng(2), []
    for _ in range(100):
        traits = {"sample.q": rng.normal(0, 0.02, (24, 256)).astype(np.float32)}
        traits["sample.q"] = (traits["sample.q"].view(np.uint32) & 0xFFFF0000).view(np.float32)
        p.append(10 ** values(traits)["entries"])
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 1e-3


def findings(traits: dict[str, np.ndarray]) -> dict[str, str]:
    found = start_findings(Stage("a", "a"), Fingerprint("start", traits), None, 1e-6)
    return {finding.words.partition(":")[0]: finding.state for finding in found}


def test_a_random_start_holds_but_for_what_needs_weights() -> None:
    traits = start(np.random.default_rng(3), INITIALISERS["uniform"])
    states = findings(traits)
    assert states.pop("spikes") == "not-testable"
    assert set(states.values()) == {"holds"}


@pytest.mark.parametrize(
    ("trait", "change", "test"),
    [
        ("gains.input", lambda values, rng: values + 1e-3 * rng.normal(size=values.shape), "constants"),
        ("sample.up", lambda values, rng: values * rng.choice([1.0, 9.0], values.shape), "entries"),
        ("neurons.norms", lambda values, rng: values + 0.2 * rng.normal(size=(LAYERS, NEURONS, 1)), "neurons"),
    ],
)
def test_a_trained_start_is_seen(trait: str, change: Callable[..., np.ndarray], test: str) -> None:
    rng = np.random.default_rng(4)
    traits = start(rng, INITIALISERS["uniform"])
    traits[trait] = change(traits[trait], rng)
    assert [name for name, state in findings(traits).items() if state == "broken"] == [test]


def test_channels_that_are_large_everywhere_are_seen() -> None:
    rng = np.random.default_rng(5)
    traits = start(rng, INITIALISERS["uniform"])
    large = 0.1 * rng.normal(size=HIDDEN)
    traits |= {f"channels.{role}": traits[f"channels.{role}"] + large for role in ROLES}
    assert findings(traits)["channels"] == "broken"


def test_matrices_of_zeros_are_a_start_too() -> None:
    """Some recipes begin with outputs of zero: nothing is said about them."""
    traits = start(np.random.default_rng(6), INITIALISERS["uniform"])
    traits["sample.o"] = np.zeros((LAYERS, 256))
    assert findings(traits)["entries"] == "holds"


def test_a_fingerprint_that_holds_nothing_says_nothing() -> None:
    states = findings({"gains.final": np.ones(64)})
    assert states == {"constants": "holds"} | dict.fromkeys(("entries", "channels", "neurons", "spikes"), "not-testable")
