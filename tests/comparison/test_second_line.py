"""What a test by label saw is asked again of what no order can know: strangers that share an order share nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint import Fingerprint
from kinprint.comparison import examine
from kinprint.methods import known

NEURONS, HEADS = (next(method for method in known() if method.name == name) for name in ("neurons", "heads"))


def neurons(rng: np.random.Generator, norms: np.ndarray, angles: np.ndarray) -> Fingerprint:
    """A fingerprint of invariants, with noise of its own on each."""
    values = np.concatenate([norms, angles], axis=-1)
    values = values + 0.3 * rng.normal(size=values.shape)
    return Fingerprint("neurons", {"neurons.invariants": np.concatenate([values[..., :2], np.tanh(values[..., 2:])], axis=-1)})


@pytest.mark.parametrize(("shared", "verdict"), [("norms", "no-evidence"), ("norms and angles", "related")])
def test_neurons_that_share_an_order_alone_are_set_aside(shared: str, verdict: str) -> None:
    """Norms that agree by label, angles that do not: one order, other neurons. Both: the same neurons."""
    rng = np.random.default_rng(1)
    norms, angles = rng.normal(size=(4, 256, 2)), rng.normal(size=(4, 256, 3))
    others = angles if shared == "norms and angles" else rng.normal(size=angles.shape)
    found = examine((neurons(rng, norms, angles), neurons(rng, norms, others)), methods=[NEURONS])
    assert found.tests[0].log10_p is not None
    assert found.tests[0].log10_p < -20
    assert found.verdict == (verdict if verdict == "related" else "untestable")  # the one test there is decides nothing
    assert ("not the same neurons" in found.tests[0].set_aside) == (shared == "norms")


def test_the_sentence_says_what_was_set_aside() -> None:
    """Beside a test that saw nothing: no evidence, and why the neurons' order is none."""
    rng = np.random.default_rng(2)
    norms = rng.normal(size=(4, 256, 2))
    pair = []
    for _ in range(2):
        traits = neurons(rng, norms, rng.normal(size=(4, 256, 3))).traits
        pair.append(Fingerprint("model", {**traits, "channels.gate": np.exp(rng.normal(size=(4, 128)))}))
    channels = next(method for method in known() if method.name == "channels")
    found = examine((pair[0], pair[1]), methods=[NEURONS, channels])
    assert found.verdict == "no-evidence"
    assert "The neurons stand in the same order, yet they are not the same neurons" in found.sentence()
    assert found.layer_map is None


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_weak_descendants_keep_their_evidence(noise: float) -> None:
    """Noise on all invariants alike, until the test by label itself fades: never set aside, in 20 pairs each."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        norms, angles = rng.normal(size=(4, 256, 2)), rng.normal(size=(4, 256, 3))
        pair = (
            neurons(rng, norms, angles),
            neurons(rng, *(side + noise * rng.normal(size=side.shape) for side in (norms, angles))),
        )
        assert not examine(pair, methods=[NEURONS]).tests[0].set_aside


@pytest.mark.parametrize("shared", [True, False])
def test_heads_that_share_queries_and_keys_alone_are_set_aside(shared: bool) -> None:
    """Heads sorted by their queries and keys agree by label in these; copies agree in values and outputs too."""
    rng = np.random.default_rng(4)

    def spectrum() -> np.ndarray:
        size, fall = rng.normal(size=(2, 12, 16, 1))
        return np.exp(size - np.exp(0.3 * fall) * np.linspace(0.2, 2, 12))

    queries, values = spectrum(), [spectrum(), spectrum()]
    pair = [
        Fingerprint(
            "heads",
            {
                "heads.qk_spectrum": queries * np.exp(0.01 * rng.normal(size=queries.shape)),
                "heads.vo_spectrum": values[0 if shared else number] * np.exp(0.01 * rng.normal(size=queries.shape)),
            },
            {"num_key_value_heads": 16},
        )
        for number in range(2)
    ]
    item = examine((pair[0], pair[1]), methods=[HEADS]).tests[0]
    assert item.log10_p is not None
    assert item.log10_p < -9
    assert bool(item.set_aside) != shared
