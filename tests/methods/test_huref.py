"""HuRef against its formula written out, and what it finds and misses on the shipped models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from methods import tiny_weights

from kinprint import transforms
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.methods import huref


def terms(model: Weights, layer: int, ids: list[int]) -> list[np.ndarray]:
    """X W_q^T W_k X^T, X W_v^T W_o^T X^T, X W_up^T W_down^T X^T with keys and values repeated for every query head."""
    x = model.stored(None, "embedding").astype(np.float64)[ids]
    q, k, v, o = (model.stored(layer, role).astype(np.float64) for role in ("q", "k", "v", "o"))
    width, groups = model.facts["head_dim"], model.facts["num_key_value_heads"]
    group_of = np.repeat(np.arange(groups), model.facts["num_attention_heads"] // groups)
    k, v = (np.concatenate([m[g * width : (g + 1) * width] for g in group_of]) for m in (k, v))
    ffn = sum(
        model.stored(layer, "up", e).astype(np.float64).T @ model.stored(layer, "down", e).astype(np.float64).T
        for e in model.experts(layer)
    )
    return [x @ q.T @ k @ x.T, x @ v.T @ o.T @ x.T, x @ ffn @ x.T]


def expected(a: Weights, b: Weights, ids: list[int]) -> float:
    """The cosine of all standardised terms of the last two layers."""
    sides = []
    for model in (a, b):
        both = [term for back in (1, 2) for term in terms(model, model.layers - back, ids)]
        sides.append(np.concatenate([((t - t.mean()) / t.std()).ravel() for t in both]))
    return float(sides[0] @ sides[1] / np.linalg.norm(sides[0]) / np.linalg.norm(sides[1]))


@pytest.mark.parametrize("shape", [{}, {"hidden": 24, "heads": 6, "layers": 3}, {"experts": 3}, {"gated": False}])
@pytest.mark.parametrize("related", [True, False])
def test_the_formula(shape: dict[str, int], related: bool) -> None:
    """The same as the terms in full, in float64, also where widths, depths and heads differ."""
    base = tiny_weights.model(0)
    other = tiny_weights.noisy(base, 0.3) if related and not shape else tiny_weights.model(1, **shape)
    found = huref.METHOD(base, other)
    assert found.statistic == pytest.approx(expected(base, other, list(range(2, 50))), abs=1e-5)
    assert found.statistic == pytest.approx(np.mean([found.parts[name] for name in ("qk", "vo", "ffn")]))


def test_the_rarest_tokens_are_those_of_the_highest_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huref, "TOKENS", 33)
    a, b = tiny_weights.model(0), tiny_weights.model(1)
    assert huref.METHOD(a, b).statistic == pytest.approx(expected(a, b, list(range(17, 50))), abs=1e-5)


def test_no_order_of_channels_heads_or_experts_matters(models: Path, tmp_path: Path) -> None:
    """A permuted copy, one with values mixed against outputs, and one with experts permuted are as good as the model."""
    transforms.apply("permute", models / "base", tmp_path / "permuted", seed=0)
    transforms.apply("mix", models / "base", tmp_path / "mixed", seed=0)
    transforms.apply("upcycle", models / "base", tmp_path / "experts", experts=4, seed=0)
    base = open_model(models / "base").weights
    for name, least in (("permuted", 0.9999), ("mixed", 0.999), ("experts", 0.9999)):
        assert huref.METHOD(base, open_model(tmp_path / name).weights).statistic >= least, name


def test_what_it_finds_and_what_fools_it(models: Path, tmp_path: Path) -> None:
    """A fine-tune is near 1; new embeddings hide it, whatever the rest; a stranger is well above 0."""
    transforms.apply(
        "swap-vocabulary", models / "finetune", tmp_path / "swapped", tokenizer=models / "finetune", keep=False, seed=0
    )
    base = open_model(models / "base").weights
    finetune, twin, swapped = (
        huref.METHOD(base, open_model(f).weights).statistic
        for f in (models / "finetune", models / "twin", tmp_path / "swapped")
    )
    assert finetune > 0.9
    assert twin > 0.2
    assert abs(swapped) < 0.1


def test_when_it_does_not_apply() -> None:
    model = tiny_weights.model()
    silent = {
        "has no tokenizer": Weights("bare", "memory", model.facts, model.parts, {}),
        "has no token embedding": tiny_weights.changed(model, {(None, "embedding", None): None}),
        "share 0 ordinary tokens": Weights("other", "memory", model.facts, model.parts, {"<s>": 0, "else": 5}),
        "has no v": tiny_weights.changed(model, {(1, "v", None): None}),
        "constant or not finite": tiny_weights.changed(model, {(1, "v", None): np.zeros((6, 16))}),
    }
    for reason, other in silent.items():
        for pair in ((model, other), (other, model)):
            found = huref.METHOD(*pair)
            assert not found.applies
            assert reason in found.note
