"""CSU against its formula written out, its p-value, and what it finds and misses on the shipped models."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from methods import tiny_weights
from scipy.optimize import linear_sum_assignment
from scipy.stats import combine_pvalues, kstest, spearmanr, t

from kinprint import transforms
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.matching import assignment
from kinprint.methods import csu
from kinprint.statistics import rank_correlation


def expected(a: Weights, b: Weights) -> list[tuple[float, float]]:
    """Correlation and p-value of every layer."""
    found = []
    for layer in range(a.layers):
        x, y = (m.stored(layer, "up", m.experts(layer)[0]).astype(float) for m in (a, b))
        cosines = x @ y.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
        rows, columns = linear_sum_assignment(-cosines)
        r, p = spearmanr(rows, columns)
        found.append((r, max(p, 2 / math.factorial(len(rows)))))
    return found


@pytest.mark.parametrize("shape", [{}, {"neurons": 30}, {"neurons": 14}, {"experts": 2}, {"gated": False}])
@pytest.mark.parametrize("amount", [1.0, 2.5, None])
def test_the_formula(shape: dict[str, int], amount: float | None) -> None:
    base = tiny_weights.model(0)
    other = tiny_weights.noisy(base, amount) if amount and not shape else tiny_weights.model(1, **shape)
    found, known = csu.METHOD(base, other), expected(base, other)
    assert found.statistic == pytest.approx(-math.log10(combine_pvalues([p for _, p in known]).pvalue), rel=1e-9)
    assert found.layers == pytest.approx([-math.log10(p) for _, p in known], rel=1e-9)
    assert found.parts["spearman"] == pytest.approx(np.mean([r for r, _ in known]))


def test_only_the_heaviest_neurons_of_wide_layers_are_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csu, "heaviest", lambda matrix: assignment.heaviest(matrix, 5))
    base = tiny_weights.model(0)
    heavy = [np.sort(np.argsort(np.linalg.norm(base.stored(layer, "up"), axis=1))[-5:]) for layer in range(2)]
    light = tiny_weights.changed(base, {(i, "up", None): base.stored(i, "up")[kept] for i, kept in enumerate(heavy)})
    assert csu.METHOD(base, base).statistic == pytest.approx(csu.METHOD(light, light).statistic)
    assert csu.METHOD(base, base).layers == pytest.approx([math.log10(math.factorial(5) / 2)] * 2)


def test_p_values_are_those_of_students_t_also_where_doubles_end() -> None:
    """Against scipy where it can, and against the logarithm of the density's tail beyond."""
    rng = np.random.default_rng(0)
    for n, noise in itertools.product((5, 40, 2000), (100, 1, 0.3)):
        x = rng.permutation(n)
        y = np.argsort(np.argsort(x + noise * n * rng.normal(size=n)))
        r, log10_p = rank_correlation.spearman(x, y)
        known = spearmanr(x, y)
        assert r == pytest.approx(known.statistic)
        if known.pvalue > 1e-300:
            assert log10_p == pytest.approx(max(math.log10(known.pvalue), math.log10(2) - math.lgamma(n + 1) / math.log(10)))
        else:
            where = abs(r) * math.sqrt((n - 2) / (1 - r * r))
            grid = np.linspace(0, 60 / n, 200_001)  # the tail in units of its own distance from 0
            density = t.logpdf(where * (1 + grid), n - 2)
            mass = np.trapezoid(np.exp(density - density[0]), grid) * where
            assert log10_p == pytest.approx((density[0] + math.log(2 * mass)) / math.log(10), rel=1e-4)


def test_no_p_value_is_below_what_orders_allow() -> None:
    assert rank_correlation.spearman(np.arange(6), np.arange(6)) == pytest.approx((1, math.log10(2 / 720)))
    assert rank_correlation.spearman(np.arange(6), np.arange(6)[::-1]) == pytest.approx((-1, math.log10(2 / 720)))
    assert math.isnan(rank_correlation.spearman(np.arange(2), np.arange(2))[0])


def test_fishers_combination() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 30):
        p = rng.uniform(size=count) ** 3
        assert rank_correlation.fisher(np.log10(p)) == pytest.approx(math.log10(combine_pvalues(p).pvalue))
    assert rank_correlation.fisher([0, 0]) == 0
    assert rank_correlation.fisher([-5000.0, -4000.0]) == pytest.approx(-9000, abs=6)


def test_p_values_of_strangers_are_uniform() -> None:
    """H0: independent random weights. 200 pairs: uniform."""
    p = [10 ** -csu.METHOD(tiny_weights.model(2 * n), tiny_weights.model(2 * n + 1)).statistic for n in range(200)]
    assert kstest(p, "uniform").pvalue > 0.001


def test_what_it_finds_and_what_fools_it(models: Path, tmp_path: Path) -> None:
    """A fine-tune and a pruned copy are found; permuted neurons, permuted channels or a rotation hide it."""
    for spaces in ("neurons", "channels"):
        transforms.apply("permute", models / "finetune", tmp_path / spaces, spaces=spaces, seed=0)
    transforms.apply("rotate", models / "finetune", tmp_path / "rotated", seed=0)
    transforms.apply("prune", models / "base", tmp_path / "narrow", kind="width", amount=0.25)
    base = open_model(models / "base").weights
    assert csu.METHOD(base, open_model(models / "finetune").weights).parts["spearman"] > 0.99
    assert csu.METHOD(base, open_model(models / "finetune").weights).statistic > 1000
    assert csu.METHOD(base, open_model(tmp_path / "narrow").weights).statistic > 500
    for hidden in (models / "twin", tmp_path / "neurons", tmp_path / "channels", tmp_path / "rotated"):
        assert csu.METHOD(base, open_model(hidden).weights).statistic < 4, hidden


def test_when_it_does_not_apply() -> None:
    model = tiny_weights.model()
    silent = {
        "the hidden sizes differ": tiny_weights.model(0, hidden=24),
        "the depths differ": tiny_weights.model(0, layers=3),
        "no layer of both models has an up-projection": tiny_weights.changed(model, {(n, "up", None): None for n in range(2)}),
    }
    for reason, other in silent.items():
        for pair in ((model, other), (other, model)):
            found = csu.METHOD(*pair)
            assert not found.applies
            assert reason in found.note
