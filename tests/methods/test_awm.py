"""AWM against its formula written out, and what it finds and misses on the shipped models."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from methods import tiny_weights

from kinprint import transforms
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.methods import awm


def hsic(K: np.ndarray, L: np.ndarray) -> float:
    """The unbiased estimate, as Song et al. (2012) give it, from sums over distinct indices."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    pairs = np.trace(K @ L) + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * K.sum(0) @ L.sum(0)
    return float(pairs / (n * (n - 3)))


def cka(x: np.ndarray, y: np.ndarray) -> float:
    K, L = x.T @ x, y.T @ y
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def layer_pair(a: Weights, b: Weights, i: int, j: int) -> np.ndarray:
    return np.array([cka(*(m.stored(n, role).astype(float) for m, n in ((a, i), (b, j)))) for role in ("q", "k")])


def signed_permutation(model: Weights, seed: int) -> Weights:
    """Channels in another order, some with the other sign, wherever they occur."""
    rng = np.random.default_rng(seed)
    order, signs = rng.permutation(model.hidden), rng.choice([-1, 1], model.hidden)
    moved = {}
    for place, part in model.parts.items():
        axis = part.axes.index("residual")
        array = np.take(part.read(), order, axis)
        moved[place] = array if len(part.shape) == 1 else array * (signs if axis == 1 else signs[:, None])
    return tiny_weights.changed(model, moved)


@pytest.mark.parametrize("amount", [0, 0.3, 3])
def test_the_formula(amount: float) -> None:
    """The mean of the unbiased CKAs once the reference is brought to the suspect's channels; centring sees the signs."""
    base = tiny_weights.model(0)
    other = tiny_weights.noisy(base, amount)
    other = tiny_weights.changed(other, {(None, "embedding", None): base.stored(None, "embedding")})
    for brought, suspect in ((base, other), (signed_permutation(base, 5), signed_permutation(other, 5))):
        by_layer = np.array([layer_pair(brought, suspect, layer, layer) for layer in range(2)])
        found = awm.METHOD(base, suspect)
        assert found.statistic == pytest.approx(by_layer.mean(), abs=1e-5)
        assert (found.parts["q"], found.parts["k"]) == pytest.approx(by_layer.mean(axis=0), abs=1e-5)
        assert found.layers == pytest.approx(by_layer.mean(axis=1), abs=1e-5)


def test_fewer_channels_are_found_among_more() -> None:
    """A width-pruned copy, either way round; layers are those of the suspect."""
    base = signed_permutation(tiny_weights.model(0, hidden=24), 3)
    kept = np.sort(np.random.default_rng(0).permutation(24)[:16])
    small = tiny_weights.changed(
        tiny_weights.model(0),
        {place: np.take(part.read(), kept, part.axes.index("residual")) for place, part in base.parts.items()},
    )
    for pair in ((base, small), (small, base)):
        assert awm.METHOD(*pair).statistic == pytest.approx(1)


def test_layers_are_paired_by_assignment_where_depths_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of all ways to pair them, tried one by one; exact also where fewer channels paired them."""
    deep, shallow = tiny_weights.model(0, layers=4), tiny_weights.model(0, layers=2)
    shallow = tiny_weights.changed(
        shallow, {(i, role, None): deep.stored(j, role) for i, j in ((0, 1), (1, 3)) for role in ("q", "k")}
    )
    shallow = tiny_weights.noisy(shallow, 0.1)
    best = max(
        np.mean([layer_pair(deep, shallow, i, j) for j, i in enumerate(chosen)])
        for chosen in itertools.permutations(range(4), 2)
    )
    shallow = tiny_weights.changed(shallow, {(None, "embedding", None): deep.stored(None, "embedding")})
    for screen in (1024, 10):
        monkeypatch.setattr(awm, "SCREEN", screen)
        found = awm.METHOD(deep, shallow)
        assert found.statistic == pytest.approx(best, abs=1e-5)
        assert len(found.layers) == 2
    back = awm.METHOD(shallow, deep)
    assert back.statistic == pytest.approx(best, abs=1e-5)
    assert np.isfinite(back.layers).tolist() == [False, True, False, True]


def test_without_shared_tokens_channels_are_compared_by_index() -> None:
    base = tiny_weights.model(0)
    bare = Weights("bare", "memory", base.facts, base.parts, {})
    found = awm.METHOD(base, bare)
    assert found.statistic == pytest.approx(1)
    assert "compared by index" in found.note


def test_what_it_finds_and_what_fools_it(models: Path, tmp_path: Path) -> None:
    """A permuted fine-tune is as near as the fine-tune; a rotated one, or one with new embeddings permuted, is not found."""
    transforms.apply("permute", models / "finetune", tmp_path / "permuted", seed=0)
    transforms.apply("rotate", models / "finetune", tmp_path / "rotated", seed=0)
    transforms.apply(
        "swap-vocabulary", models / "finetune", tmp_path / "swapped", tokenizer=models / "finetune", keep=False, seed=0
    )
    transforms.apply("permute", tmp_path / "swapped", tmp_path / "swapped-permuted", seed=0)
    transforms.apply("prune", models / "base", tmp_path / "shallow", kind="depth", amount=0.25)
    base = open_model(models / "base").weights
    folders = [
        models / "finetune",
        models / "twin",
        *(tmp_path / n for n in ("permuted", "rotated", "swapped-permuted", "shallow")),
    ]
    finetune, twin, permuted, rotated, swapped, shallow = (awm.METHOD(base, open_model(f).weights).statistic for f in folders)
    assert finetune > 0.9
    assert shallow == pytest.approx(1)
    assert permuted == pytest.approx(finetune, abs=1e-3)
    assert max(twin, rotated, swapped) < 0.6


def test_when_it_does_not_apply() -> None:
    model, wide = tiny_weights.model(0), tiny_weights.model(0, hidden=24)
    silent = {
        "and the hidden sizes differ": Weights("bare", "memory", wide.facts, wide.parts, {}),
        "has queries and keys": tiny_weights.changed(model, {(layer, "k", None): None for layer in range(2)}),
        "fewer than four channels": tiny_weights.model(0, hidden=3),
    }
    for reason, other in silent.items():
        for pair in ((model, other), (other, model)):
            found = awm.METHOD(*pair)
            assert not found.applies
            assert reason in found.note
