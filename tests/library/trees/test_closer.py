"""The closer look at neurons: what it sums; that it sees a copy which index vectors lose, and no stranger."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.arrays import Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS
from kinprint.library.trees import closer as module
from kinprint.library.trees.closer import FREQUENCIES, LENGTH, closer, similarities
from kinprint.library.trees.nearness import ALIKE
from kinprint.library.vectors import Neurons, frequencies

LAYERS, NEURONS = 4, 600


def model(forms: Float64s) -> Fingerprint:
    return Fingerprint("model", {"neurons.forms": forms.astype(np.float32)})


def start(seed: int) -> Float64s:
    """A stranger to those of other seeds: the mixing of its features and its skewness are those of every other."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(len(COLUMNS), len(COLUMNS))) / 5 + np.eye(len(COLUMNS))
    return np.exp(0.3 * rng.normal(size=(LAYERS, NEURONS, len(COLUMNS))) @ mixing)


def trained(forms: Float64s, amount: float, seed: int) -> Float64s:
    """Every value moved, the neurons in another order."""
    rng = np.random.default_rng(seed)
    moved = forms + amount * forms.std(axis=1, keepdims=True) * rng.normal(size=forms.shape)
    return moved[:, rng.permutation(NEURONS)]


def test_it_is_the_characteristic_function_at_sums_and_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the definition in float64, less that of a normal distribution of the same covariance; both looks."""
    monkeypatch.setattr(module, "BASE", 5)
    measured = model(start(1))
    neurons = Neurons.of(measured)
    assert neurons is not None
    scores = neurons.scores
    first, second = np.triu_indices(5, 1)
    found = closer(measured)
    assert found is not None
    for frequency, vector in zip(FREQUENCIES, found, strict=True):
        ways = frequencies("closer", neurons.known, 5, scores, frequency / np.sqrt(2))
        pairs = [ways[:, first] + sign * ways[:, second] for sign in (1, -1)]
        normal = [len(scores) * np.exp(-np.mean((scores @ pair) ** 2, axis=0) / 2) for pair in pairs]
        parts = [np.cos(scores @ pair).sum(axis=0) - expected for pair, expected in zip(pairs, normal, strict=True)]
        wanted = np.concatenate([*parts, *(np.sin(scores @ pair).sum(axis=0) for pair in pairs)])
        assert vector == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)


def test_relatives_far_apart_are_alike_and_strangers_are_not() -> None:
    """H0: independent models of one distribution. Their similarities have mean 0 and a spread near 1."""
    base = start(1)
    copies = [closer(model(trained(base, 0.3, seed))) for seed in (2, 3)]
    strangers = [closer(model(start(seed))) for seed in range(10, 26)]
    found = similarities([closer(model(base)), *copies, *strangers])
    assert found[0, :3, :3].min() > ALIKE
    for look in found:
        apart = look[3:, 3:][np.triu_indices(len(strangers), 1)]
        assert abs(apart.mean()) < 1
        assert apart.std() < 1.5
        assert max(apart.max(), look[:3, 3:].max()) < ALIKE


def test_a_model_without_neurons_or_with_equal_ones_has_no_vector() -> None:
    assert closer(Fingerprint("bare", {"gains.final": np.ones(8)})) is None
    found = similarities([None, closer(model(start(1)))])
    assert np.isnan(found).tolist() == [[[True, True], [True, False]]] * len(FREQUENCIES)
    assert found[0, 1, 1] == pytest.approx(np.sqrt(LENGTH), rel=1e-5)
