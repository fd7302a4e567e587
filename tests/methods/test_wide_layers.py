"""Neurons of layers so wide that the test looks at a part of them: the others are not even ranked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinprint.methods import neurons
from kinprint.statistics import exchangeability
from kinprint.statistics.label_checks import label_checks

LAYERS, UNITS, FEATURES, BUDGET, DRAWS = 4, 400, 3, 64, 300


@pytest.fixture(autouse=True)
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 blocks of 8 in each layer: 128 of 400 neurons are looked at."""
    monkeypatch.setattr(exchangeability, "BUDGET", BUDGET)


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((LAYERS, UNITS, FEATURES))


def p_value(x: np.ndarray, y: np.ndarray, *, cloned: bool = False) -> float:
    return 10 ** neurons._by_label(x, y, cloned=cloned).log10_p


def test_uniform_under_the_null() -> None:
    """H0: the neurons of both models were labelled independently."""
    found = [p_value(drawn(2 * seed), drawn(2 * seed + 1)) for seed in range(DRAWS)]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_uniform_where_neurons_are_missing() -> None:
    """H0: as before; some neurons are padding, others in each layer."""
    found = []
    for seed in range(DRAWS):
        x, y = drawn(2 * seed), drawn(2 * seed + 1)
        for layer, side in enumerate((x, y)):
            side[layer, 100 * layer : 100 * layer + 90] = np.nan
        found.append(p_value(x, y))
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_descent_is_seen() -> None:
    x = drawn(0)
    assert p_value(x, x + 0.5 * drawn(1)) < 1e-20


def test_only_what_is_looked_at_is_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked = []
    scores_of = neurons.scores_of
    monkeypatch.setattr(neurons, "scores_of", lambda features: ranked.append(features.shape[1]) or scores_of(features))
    p_value(drawn(0), drawn(1))
    assert ranked == [8 * BUDGET // LAYERS] * 2


def test_clones_are_looked_for_among_all() -> None:
    """Copies stand 200 neurons apart, so that most of those that are looked at have no copy among them."""
    half = drawn(0)[:, : UNITS // 2]
    checks = label_checks(np.concatenate([half, half], axis=1), neurons.scores_of)
    assert any(check.tells_clones for check in checks)
    assert not any(check.tells_clones for check in label_checks(drawn(0), neurons.scores_of))


def test_uniform_among_clones() -> None:
    """H0: the originals were labelled independently; every neuron of one model is there twice."""
    found = []
    for seed in range(DRAWS):
        half = drawn(2 * seed)[:, : UNITS // 2]
        found.append(p_value(np.concatenate([half, half], axis=1), drawn(2 * seed + 1), cloned=True))
    assert stats.kstest(found, "uniform").pvalue > 1e-3
