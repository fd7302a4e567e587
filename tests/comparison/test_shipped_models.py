"""What kinprint says about the models shipped with it, and about copies of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kinprint import Fingerprint, compare
from kinprint.comparison.identity import Difference, Sameness
from kinprint.comparison.verdict import combined_log10_p, decide
from kinprint.methods import Evidence


def copy(models: Path, folder: Path, dtype: type) -> Path:
    folder.mkdir()
    shutil.copy(models / "base" / "config.json", folder)
    arrays = {name: array.astype(dtype) for name, array in load_file(models / "base" / "model.safetensors").items()}
    save_file(arrays, folder / "model.safetensors")
    return folder


def test_fine_tune(models: Path) -> None:
    """A real fine-tune: related, by at least two tests at 1e-12."""
    found = compare(models / "base", models / "finetune")
    assert found.verdict == "related"
    assert found.log10_p is not None
    assert found.log10_p <= -12
    assert sum(test.log10_p is not None and test.log10_p <= -12 for test in found.tests) >= 2
    assert found.layer_map == (0, 1, 2, 3)
    assert found.context["declared_base"]["suspect"] == "base"
    assert found.context["token_overlap"] == 1


def test_twin(models: Path) -> None:
    """Same architecture, tokenizer, data and data order: norm gains agree at 0.99 and more, and it is no evidence."""
    found = compare(models / "base", models / "twin")
    assert found.verdict == "no-evidence"
    gains = next(score for score in found.scores if score.method == "norm-gains")
    assert gains.statistic is not None
    assert gains.statistic > 0.99
    assert "not prove that they are unrelated" in found.sentence()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_other_number_types_are_identical(models: Path, tmp_path: Path, dtype: type) -> None:
    """The same weights, rounded once (bf16 to f16 rounds what is very small)."""
    for pair in ((models / "base", copy(models, tmp_path / "cast", dtype)),):
        assert compare(*pair).verdict == "identical"
        assert compare(*pair[::-1]).verdict == "identical"
        assert compare(models / "twin", pair[1]).verdict == "no-evidence"
        assert compare(models / "finetune", pair[1]).verdict == "related"


def test_one_changed_tensor_is_not_identical(models: Path, tmp_path: Path) -> None:
    arrays = load_file(models / "base" / "model.safetensors")
    arrays["model.norm.weight"] = (arrays["model.norm.weight"].astype(np.float32) * 1.5).astype(
        arrays["model.norm.weight"].dtype
    )
    shutil.copy(models / "base" / "config.json", tmp_path)
    save_file(arrays, tmp_path / "model.safetensors")
    assert compare(models / "base", tmp_path).verdict == "related"


def test_json(models: Path) -> None:
    """The object that programs rely on (kinprint-comparison/1)."""
    data = json.loads(json.dumps(compare(models / "base", models / "finetune").to_json(), allow_nan=False))
    assert data["format"] == "kinprint-comparison/1"
    assert set(data) >= {"reference", "suspect", "verdict", "log10_p", "layer_map", "evidence", "context"}
    assert set(data["reference"]) == {"name", "source", "digest"}
    kinds = [item["kind"] for item in data["evidence"]]
    assert kinds == sorted(kinds, key=lambda kind: kind != "test")
    assert {"method", "kind", "statistic", "log10_p", "note"} <= set(data["evidence"][0])


def test_scores_never_decide() -> None:
    """Perfect scores and no applicable test: nothing can be said."""
    moments = np.random.default_rng(0).random((6, 6))
    model = Fingerprint("x", {"moments.q": moments, "moments.k": moments})
    found = compare(model, model)
    assert any(score.statistic == pytest.approx(1) for score in found.scores)
    assert found.verdict == "untestable"
    assert found.log10_p is None


def test_combination() -> None:
    """Bonferroni over the tests that apply; the threshold is inclusive."""
    tests = [
        Evidence(method="a", kind="test", statistic=1.0, log10_p=-7.0),
        Evidence(method="b", kind="test", statistic=1.0, log10_p=-0.1),
        Evidence(method="c", kind="test"),
        Evidence(method="d", kind="score", statistic=1.0),
    ]
    assert combined_log10_p(tests) == pytest.approx(-7 + np.log10(2))
    assert decide(Sameness(None), -6.0) == "related"
    assert decide(Sameness(None), -5.99) == "no-evidence"
    assert decide(Sameness(None), None) == "untestable"
    assert decide(Sameness("bit for bit"), None) == "identical"
    part = Difference("vision tower", "differs", 3, 0.4)
    assert decide(Sameness("bit for bit", (part,)), None) == "related"
