"""Random models of every family on disk, made once, and what they compute."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from families import random_model

from kinprint.transforms._check import Check

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOKENS = [[5, 9, 33, 2, 60, 7, 7, 1]]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a random float32 model of a family of `families.FAMILIES`."""
    folder, done = tmp_path_factory.mktemp("originals"), set()

    def of(name: str) -> Path:
        if name not in done:
            random_model(name).save_pretrained(folder / name)
            done.add(name)
        return folder / name

    return of


@pytest.fixture(scope="session")
def outputs() -> Callable[[Path], Any]:
    """(tokens, vocabulary or width) float64 of what the real library computes; it must miss and ignore no weight.

    Logits without their mean over the vocabulary, position by position: the softmax behind them takes that out, and two models
    whose logits differ by it compute the same function. Of a folder it is computed once: no test writes into one twice.
    """

    @cache
    def of(folder: Path) -> Any:
        named = json.loads(folder.joinpath("config.json").read_text()).get("architectures") or ["AutoModelForCausalLM"]
        kind = getattr(transformers, named[0])
        model, report = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        computed = {name for name, _ in model.named_buffers()}
        left = {*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]} - computed
        assert not left
        with torch.no_grad():
            found = model(input_ids=torch.tensor(TOKENS))
        if not hasattr(found, "logits"):
            return found.last_hidden_state[0].double().numpy()
        logits = found.logits[0].double().numpy()
        return logits - logits.mean(axis=1, keepdims=True)

    return of


@pytest.fixture(autouse=True)
def unchecked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are not run a second time where tests compare what they compute; test_check.py is about that."""
    if request.path.name != "test_check.py":
        monkeypatch.setattr("kinprint.transforms.run_both", lambda *models: Check(None, why_not="the test does it"))
