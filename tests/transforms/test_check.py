"""A disguised copy appears only if it was seen to compute the same, or nothing could run it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kinprint import transforms
from kinprint.errors import TransformError
from kinprint.transforms import Transform, known
from kinprint.transforms._check import check
from kinprint.transforms._model import Model, changed


def destroyed(model: Model) -> Model:
    """Rotates nothing but what queries read."""
    return model.each(lambda place, part: changed(part, lambda array: array[:, ::-1]) if place[1] == "q" else part)


@pytest.mark.parametrize("name", ["llama", "gemma", "gpt2", "opt"])
def test_both_are_run(name: str, original: Callable[[str], Path], tmp_path: Path) -> None:
    """The difference that was found is told."""
    made = transforms.apply("permute", original(name), tmp_path / "copy", seed=1)
    assert "both were run over 8 tokens" in made.check
    assert (tmp_path / "copy" / "config.json").exists()


def test_what_computes_something_else_is_not_written(
    original: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disguise that destroys the model: an error, and no folder."""
    broken = {**known(), "broken": Transform("broken", "disguise", destroyed, "")}
    monkeypatch.setattr(transforms, "known", lambda: broken)
    with pytest.raises(TransformError, match="does not compute the same"):
        transforms.apply("broken", original("llama"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    made = transforms.apply("broken", original("llama"), tmp_path / "copy", check=False)
    assert made.check == ""


def test_a_derivation_is_not_run(original: Callable[[str], Path], tmp_path: Path) -> None:
    assert transforms.apply("noise", original("llama"), tmp_path / "copy", seed=1).check == ""


def test_what_cannot_be_run_is_said(original: Callable[[str], Path], tmp_path: Path) -> None:
    """A type that transformers does not know, and a single file."""
    folder = tmp_path / "model"
    shutil.copytree(original("llama"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))
    assert "not checked: transformers does not run it" in check(folder, folder, "float32").words()
    assert "not a folder" in check(folder / "model.safetensors", folder, "float32").words()


def test_without_transformers_it_is_said(
    original: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    made = transforms.apply("permute", original("llama"), tmp_path / "copy", seed=1)
    assert "not checked: torch and transformers are not installed" in made.check
    assert replace(made, check="").check == ""
