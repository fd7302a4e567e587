"""MATCH against its formula written out, and what it finds and misses on the shipped models."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from methods import tiny_weights
from scipy.optimize import linear_sum_assignment
from scipy.stats import combine_pvalues, spearmanr

from kinprint import transforms
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.methods import match
from kinprint.zoo.recipes import DISGUISE


def activations(model: Weights, layer: int, role: str, expert: int | None, ids: list[int]) -> np.ndarray:
    """(neurons, tokens) what gates or ups say to the normalised embeddings of some tokens, less the mean over the tokens."""
    x = model.stored(None, "embedding").astype(float)[ids]
    if model.facts["norm"] == "layer":
        x = x - x.mean(axis=1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True)) * model.stored(layer, "gains.post_attention")
    h = x @ model.stored(layer, role, expert).astype(float).T
    return (h - h.mean(axis=0)).T


def agreement(a: Weights, b: Weights, i: int, j: int, ids: list[int]) -> tuple[float, float]:
    """Spearman's correlation of the two matchings of the neurons of two layers, and its p-value, for the best expert."""
    found = []
    one, other = a.experts(i), b.experts(j)
    for e, f in [(one[0], f) for f in other] if len(one) <= len(other) else [(e, other[0]) for e in one]:
        matchings = []
        for role in ("gate", "up"):
            x, y = activations(a, i, role, e, ids), activations(b, j, role, f, ids)
            cosines = x @ y.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
            rows, columns = linear_sum_assignment(-cosines)
            matchings.append(columns if len(x) <= len(y) else rows[np.argsort(columns)])
        found.append(tuple(spearmanr(*matchings)))
    r, p = max(found)
    return r, min(max(p, 2 / math.factorial(len(matchings[0]))) * len(found), 1)


@pytest.mark.parametrize("shape", [{}, {"hidden": 24}, {"neurons": 30}, {"neurons": 12}, {"experts": 2}, {"norm": "layer"}])
@pytest.mark.parametrize("amount", [0.5, 1.5, None])
def test_the_formula(shape: dict[str, int], amount: float | None) -> None:
    base = tiny_weights.model(0, **shape)
    other = tiny_weights.noisy(base, amount) if amount else tiny_weights.model(1)
    known = [agreement(base, other, layer, layer, list(range(2, 50))) for layer in range(2)]
    found = match.METHOD(base, other)
    assert found.statistic == pytest.approx(-math.log10(combine_pvalues([p for _, p in known]).pvalue), rel=1e-6)
    assert found.layers == pytest.approx([-math.log10(p) for _, p in known], rel=1e-6)
    assert found.parts["spearman"] == pytest.approx(np.mean([r for r, _ in known]))


def test_inputs_are_spread_over_the_shared_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "TOKENS", 24)
    base = tiny_weights.model(0)
    other = tiny_weights.noisy(base, 1)
    known = [agreement(base, other, layer, layer, [round(2 + 47 * i / 23) for i in range(24)]) for layer in range(2)]
    assert match.METHOD(base, other).layers == pytest.approx([-math.log10(p) for _, p in known], rel=1e-6)


def test_layers_are_paired_where_depths_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers 1 and 3 of four, found by few neurons; the layers reported are those of the suspect."""
    monkeypatch.setattr(match, "SCREEN", 12)
    deep = tiny_weights.model(0, layers=4)
    moved = {
        (j, role, expert): part.read()
        for j, i in enumerate((1, 3))
        for (layer, role, expert), part in deep.parts.items()
        if layer == i
    }
    shallow = tiny_weights.changed(tiny_weights.model(0), moved)
    shallow = tiny_weights.noisy(shallow, 0.1)
    found, back = match.METHOD(deep, shallow), match.METHOD(shallow, deep)
    known = [-math.log10(agreement(deep, shallow, i, j, list(range(2, 50)))[1]) for j, i in enumerate((1, 3))]
    assert found.layers == pytest.approx(known, rel=1e-6)
    assert np.isfinite(back.layers).tolist() == [False, True, False, True]
    assert back.statistic == pytest.approx(found.statistic)


def test_experts_are_found_in_any_order() -> None:
    """A dense model among the experts of another, whichever it is, and either way round."""
    dense, experts = tiny_weights.model(0), tiny_weights.model(1, experts=3)
    kept = {(n, role, 2): dense.stored(n, role) for n in range(2) for role in ("gate", "up", "down")}
    kept |= {(n, "gains.post_attention", None): dense.stored(n, "gains.post_attention") for n in range(2)}
    kept[None, "embedding", None] = dense.stored(None, "embedding")
    experts = tiny_weights.changed(experts, kept)
    for pair in ((dense, experts), (experts, dense)):
        found = match.METHOD(*pair)
        assert found.parts["spearman"] == 1
        assert found.layers == pytest.approx([math.log10(math.factorial(20) / 2 / 3)] * 2)


def test_no_disguise_of_the_form_hides_descent(models: Path, tmp_path: Path) -> None:
    """Permuted, rotated, scaled, mixed, folded, neurons split, and all of it: as related as the fine-tune itself."""
    for name in ("permute", "rotate", "scale", "split", "disguise"):
        options = {"steps": DISGUISE} if name == "disguise" else {}
        transforms.apply(name, models / "finetune", tmp_path / name, seed=0, **options)
    transforms.apply("upcycle", models / "finetune", tmp_path / "experts", experts=4, seed=0)
    transforms.apply("prune", models / "finetune", tmp_path / "pruned", kind="depth", amount=0.25)
    transforms.apply("disguise", tmp_path / "pruned", tmp_path / "pruned-disguise", seed=0, steps=DISGUISE)
    base = open_model(models / "base").weights
    for folder in (models / "finetune", *sorted(tmp_path.iterdir())):
        found = match.METHOD(base, open_model(folder).weights)
        assert found.statistic > 100, folder
        assert found.parts["spearman"] > 0.5, folder


def test_what_fools_it(models: Path, tmp_path: Path) -> None:
    """New embeddings, or ups of random signs; a stranger is not found."""
    transforms.apply(
        "swap-vocabulary", models / "finetune", tmp_path / "swapped", tokenizer=models / "finetune", keep=False, seed=0
    )
    base = open_model(models / "base").weights
    finetune = open_model(models / "finetune").weights
    rng = np.random.default_rng(0)
    flipped = {}
    for layer in range(finetune.layers):
        signs = rng.choice([-1, 1], 256)
        flipped[layer, "up", None] = finetune.stored(layer, "up") * signs[:, None]
        flipped[layer, "down", None] = finetune.stored(layer, "down") * signs
    for stranger in (models / "twin", tmp_path / "swapped"):
        assert match.METHOD(base, open_model(stranger).weights).statistic < 6, stranger
    hidden = match.METHOD(base, tiny_weights.changed(finetune, flipped))
    assert hidden.parts["spearman"] < 0.7


def test_when_it_does_not_apply() -> None:
    model = tiny_weights.model()
    silent = {
        "has no gated FFN": tiny_weights.model(0, gated=False),
        "has no tokenizer": replace(model, tokens={}),
        "has no token embedding": tiny_weights.changed(model, {(None, "embedding", None): None}),
        "share 31 ordinary tokens": replace(model, tokens={f"word{n}": n for n in range(2, 33)} | {"<s>": 0}),
    }
    for reason, other in silent.items():
        for pair in ((model, other), (other, model)):
            found = match.METHOD(*pair)
            assert not found.applies
            assert reason in found.note
