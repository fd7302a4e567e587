"""GhostSpec against its formulas written out with dense decompositions, its published behaviour, and what fools it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinprint import Fingerprint, compare, fingerprint, transforms
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.methods import _spectra, ghostspec_corr, ghostspec_mse, mlp_spectra

COPIES = ("permute", "scale", "mix", "split")
"""Transforms that keep the function and fold no gain."""


@pytest.fixture
def copies(models: Path, tmp_path: Path) -> dict[str, Path]:
    for name in COPIES:
        transforms.apply(name, models / "base", tmp_path / name, seed=0)
    return {name: tmp_path / name for name in COPIES}


def dense_spectra(folder: Path) -> dict[str, list[np.ndarray]]:
    """Singular values of W_q W_k^T, W_v W_o (input to output, K and V repeated), gate, up and down of each layer."""
    weights = open_model(folder).weights
    heads, groups = weights.facts["num_attention_heads"], weights.facts["num_key_value_heads"]
    found: dict[str, list[np.ndarray]] = {"qk": [], "vo": [], "gate": [], "up": [], "down": []}
    for layer in range(weights.layers):
        part = {}
        for role in ("q", "k", "v", "o", *mlp_spectra.ROLES):
            matrix = np.asarray(weights.stored(layer, role), dtype=np.float64)
            if role in ("k", "v"):
                matrix = np.concatenate([head for head in np.split(matrix, groups) for _ in range(heads // groups)])
            part[role] = matrix.T
        formed = {"qk": part["q"] @ part["k"].T, "vo": part["v"] @ part["o"]} | {role: part[role] for role in mlp_spectra.ROLES}
        for kind, matrix in formed.items():
            values = np.linalg.svd(matrix, compute_uv=False)
            found[kind].append(values[values > 1e-9 * values[0]])
    return found


def published_similarity(a: list[list[np.ndarray]], b: list[list[np.ndarray]]) -> float:
    """METHODS: cut to the smaller effective rank, normalise, mean squared error, mean over layers and products, logistic."""
    errors = []
    for ours, theirs in zip(a, b, strict=True):
        for x, y in zip(ours, theirs, strict=True):
            ranks = [np.exp(-np.sum(z / z.sum() * np.log(z / z.sum()))) for z in (x, y)]
            x, y = x[: int(min(ranks))], y[: int(min(ranks))]
            errors.append(np.mean((x / np.mean(x) - y / np.mean(y)) ** 2))
    return 1 - 1 / (1 + np.exp(-_spectra.STEEPNESS * (np.mean(errors) - _spectra.MIDDLE)))


@pytest.mark.parametrize("suspect", ["finetune", "twin"])
def test_against_the_formulas(models: Path, suspect: str) -> None:
    base, other = dense_spectra(models / "base"), dense_spectra(models / suspect)
    pair = fingerprint(models / "base", scores=True), fingerprint(models / suspect, scores=True)
    expected = published_similarity([base["qk"], base["vo"]], [other["qk"], other["vo"]])
    assert ghostspec_mse.METHOD(*pair).statistic == pytest.approx(expected, rel=1e-3, abs=1e-9)
    curves = [[np.array([values.mean() for values in model[kind]]) for kind in ("qk", "vo")] for model in (base, other)]
    correlations = [np.corrcoef(x, y)[0, 1] for x, y in zip(*curves, strict=True)]
    assert ghostspec_corr.METHOD(*pair).statistic == pytest.approx(np.mean(correlations), abs=1e-5)
    expected = published_similarity(*([model[role] for role in mlp_spectra.ROLES] for model in (base, other)))
    weights = open_model(models / "base").weights, open_model(models / suspect).weights
    assert mlp_spectra.METHOD(*weights).statistic == pytest.approx(expected, rel=1e-3)


def test_copies_have_the_published_scores(models: Path, copies: dict[str, Path]) -> None:
    """0.976 and 1.000 for permuted, scaled, mixed and split copies, and for the model itself."""
    base = fingerprint(models / "base", scores=True)
    for folder in (models / "base", *copies.values()):
        assert ghostspec_mse.METHOD(base, fingerprint(folder, scores=True)).statistic == pytest.approx(0.9761, abs=2e-4)
        assert ghostspec_corr.METHOD(base, fingerprint(folder, scores=True)).statistic == pytest.approx(1, abs=1e-4)


def test_kin_and_strangers(models: Path) -> None:
    """The shipped fine-tune and twin: all three tell them apart, but MLP spectra of the twin are 0.93 alike."""
    base, finetune, twin = (fingerprint(models / name, scores=True) for name in ("base", "finetune", "twin"))
    weights = [open_model(models / name).weights for name in ("base", "finetune", "twin")]
    for method, pairs, kin, stranger in (
        (ghostspec_mse.METHOD, ((base, finetune), (base, twin)), 0.951, 0.090),
        (ghostspec_corr.METHOD, ((base, finetune), (base, twin)), 0.982, 0.446),
        (mlp_spectra.METHOD, (weights[:2], weights[::2]), 0.975, 0.928),
    ):
        assert [method(*pair).statistic for pair in pairs] == pytest.approx([kin, stranger], abs=1e-3)


def test_strangers_can_be_closer_than_kin(data: Path) -> None:
    """Released models, by the pooled QK spectra of their heads: Llama-3.2-3B is closer to Mistral-7B than to its parent."""
    models = {}
    for name in ("Llama-3.1-8B-Instruct", "Llama-3.2-3B-Instruct", "Mistral-7B-Instruct-v0.1", "Mistral-7B-Instruct-v0.2"):
        with np.load(data / "qk_spectra" / f"{name}.npz") as stored:
            pooled = stored["qk_singular_values"].reshape(len(stored["qk_singular_values"]), -1)
        models[name] = Fingerprint(name, {"products.qk_spectrum": -np.sort(-pooled, axis=1)})
    parent, child, *strangers = models.values()
    for stranger, mse, corr in zip(strangers, (0.914, 0.926), (0.917, 0.927), strict=True):
        assert ghostspec_mse.METHOD(stranger, child).statistic == pytest.approx(mse, abs=1e-3)
        assert ghostspec_corr.METHOD(stranger, child).statistic == pytest.approx(corr, abs=1e-3)
    assert ghostspec_mse.METHOD(parent, child).statistic == pytest.approx(0.912, abs=1e-3)
    assert ghostspec_corr.METHOD(parent, child).statistic == pytest.approx(0.486, abs=1e-3)


def test_dropped_layers(models: Path, tmp_path: Path) -> None:
    """A layer dropped from the base: what is left is as in a copy, in both directions; the layer dropped has no similarity."""
    transforms.apply("prune", models / "base", tmp_path / "short", kind="depth", amount=0.25)
    base, short = fingerprint(models / "base", scores=True), fingerprint(tmp_path / "short", scores=True)
    assert short.layers == 3
    for pair in ((base, short), (short, base)):
        found = ghostspec_mse.METHOD(*pair)
        assert found.statistic == pytest.approx(0.9761, abs=1e-4)
        assert found.layers is not None
        assert len(found.layers) == pair[1].layers
        assert np.isnan(found.layers).sum() == pair[1].layers - 3
        assert ghostspec_corr.METHOD(*pair).statistic == pytest.approx(1, abs=1e-4)
    weights = open_model(models / "base").weights, open_model(tmp_path / "short").weights
    assert mlp_spectra.METHOD(*weights).statistic == pytest.approx(0.9761, abs=1e-4)


def spectra(layers: int, count: int = 20, seed: int = 0) -> np.ndarray:
    return -np.sort(-np.random.default_rng(seed).exponential(size=(layers, count)), axis=1)


def made(name: str, qk: np.ndarray, vo: np.ndarray | None = None) -> Fingerprint:
    return Fingerprint(name, {"products.qk_spectrum": qk} | ({} if vo is None else {"products.vo_spectrum": vo}))


def test_scale_and_length_do_not_matter() -> None:
    """Spectra of another scale are as similar as copies; of unequal length the common leading values are compared."""
    table = spectra(6, 40)
    whole, scaled, leading = made("a", table), made("b", 7 * table), made("c", table[:, :25])
    for suspect in (scaled, leading):
        assert ghostspec_mse.METHOD(whole, suspect).statistic == pytest.approx(0.9761, abs=1e-4)
        assert ghostspec_corr.METHOD(whole, suspect).statistic == pytest.approx(1)


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_layers_without_values_are_left_out(bad: float) -> None:
    """NaN (absent, not finite) and all zero; at equal depth, at unequal depth, and where nothing is left."""
    table = spectra(6)
    spoilt = table.copy()
    spoilt[2] = bad
    for reference, suspect in ((table, spoilt), (spoilt, table), (table[:5], spoilt), (spoilt, table[:4])):
        found = ghostspec_mse.METHOD(made("a", reference), made("b", suspect))
        assert found.statistic is not None
        assert np.isfinite(found.statistic)
        assert found.layers is not None
        assert len(found.layers) == len(suspect)
        assert np.isfinite(ghostspec_corr.METHOD(made("a", reference), made("b", suspect)).statistic)
    for method in (ghostspec_mse.METHOD, ghostspec_corr.METHOD):
        nothing = method(made("a", table), made("b", np.full_like(table, bad)))
        assert not nothing.applies
        assert "finite and not zero" in nothing.note


def test_what_does_not_apply() -> None:
    """One layer is enough for shapes but not for a curve; a flat curve has no correlation; QK and VO do not compare."""
    single, flat, table = spectra(1), np.ones((5, 20)), spectra(5)
    assert ghostspec_mse.METHOD(made("a", single), made("b", single)).statistic == pytest.approx(0.9761, abs=1e-4)
    assert "three layers" in ghostspec_corr.METHOD(made("a", single), made("b", single)).note
    assert "flat" in ghostspec_corr.METHOD(made("a", flat), made("b", table)).note
    only_vo = Fingerprint("c", {"products.vo_spectrum": table})
    assert "in common" in ghostspec_mse.METHOD(made("a", table), only_vo).note
    assert ghostspec_mse.METHOD(made("a", table), made("b", table, table)).parts.keys() == {"qk", "distance"}


def test_scores_never_decide(models: Path) -> None:
    found = compare(models / "base", models / "twin")
    assert found.verdict == "no-evidence"
    assert {item.method for item in found.evidence if item.kind == "score"} >= {"ghostspec-mse", "ghostspec-corr"}


class Broken(Weights):
    """A model whose matrices are altered when they are read."""

    def stored(self, layer: int | None, role: str, expert: int | None = None) -> np.ndarray | None:
        matrix = super().stored(layer, role, expert)
        return matrix if matrix is None else matrix * {0: np.nan, 1: 0.0}.get(layer, 1.0)


def test_mlp_spectra_of_broken_weights(models: Path) -> None:
    """A layer of NaN and one of zeros are left out; a model without any FFN has nothing to compare."""
    base = open_model(models / "base").weights
    found = mlp_spectra.METHOD(base, Broken(base.name, base.source, base.facts, base.parts, base.tokens))
    assert found.statistic == pytest.approx(0.9761, abs=1e-4)
    assert found.layers is not None
    assert np.isnan(found.layers).tolist() == [True, True, False, False]
    empty = Weights("empty", base.source, base.facts, {}, {})
    assert "in common" in mlp_spectra.METHOD(base, empty).note


def test_mlp_spectra_of_wide_matrices(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the width that is decomposed whole the leading values are the same."""
    base = open_model(models / "base").weights
    whole = mlp_spectra.spectra(base)
    monkeypatch.setattr(mlp_spectra, "WIDE", 100)
    for role, values in mlp_spectra.spectra(base).items():
        assert values.shape == (4, 64)
        np.testing.assert_allclose(values, whole[role][:, :64], rtol=1e-5)
