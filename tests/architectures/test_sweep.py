"""Ten types of the sweep over every type that transformers knows (`benchmarks/families.py`)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

TYPES = ("llama", "gemma2", "qwen2_moe", "falcon", "gpt2", "bloom", "bert", "bart", "whisper", "llava")


@pytest.fixture(scope="module")
def families() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(__file__).parents[2] / "benchmarks"
        patch.syspath_prepend(str(folder))
        found = importlib.util.spec_from_file_location("benchmark_families", folder / "families.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        patch.setitem(sys.modules, "benchmark_families", module)
        found.loader.exec_module(module)
        yield module


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_read_rightly_and_its_copies_are_told_from_look_alikes(
    families: ModuleType, kind: str, tmp_path: Path
) -> None:
    result = families.swept(kind, tmp_path / kind, every=False)
    assert families.violations(result) == []
    assert result["status"] == "read", result["why"]
    truths = [pair["truth"] for pair in result["pairs"]]
    assert truths.count("identical") >= 8
    assert {"related", "stranger", "not identical"} <= set(truths)


@pytest.mark.parametrize(
    ("kind", "family", "layers"),
    [
        ("mistral4", "deepseek", 3),
        ("granite4_vision", "granite", 3),
        ("deepseek_ocr2", "deepseek_moe", 3),
        ("speecht5", "inferred", 6),
        ("speech-encoder-decoder", "inferred", 3),
    ],
)
def test_a_type_is_read_as_its_modules_say(families: ModuleType, kind: str, family: str, layers: int, tmp_path: Path) -> None:
    """Rotary dimensions that are no share of a head, two language models in one, stacks of projectors and of convolutions."""
    from safetensors.numpy import load_file

    model = families.tiny_models.build(kind, seed=0)
    model.save_pretrained(tmp_path)
    opened = families.open_model(tmp_path)
    true = families.truths(model, load_file(tmp_path / "model.safetensors"))
    assert families.misread(opened, true) == []
    assert (opened.anatomy.family, opened.anatomy.facts["num_hidden_layers"]) == (family, layers)
    assert family == "inferred" or not opened.anatomy.guessed
    assert (kind != "mistral4") or true["runs"] == ""


def test_types_are_those_of_the_installed_version(families: ModuleType) -> None:
    """A type that is new in transformers is swept without a line here."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) <= set(families.tiny_models.types())


def test_what_is_misread_violates_a_truth(families: ModuleType, tmp_path: Path) -> None:
    """A stored gain that the module adds one to, and the reading does not, say."""
    import json

    families.swept("llama", tmp_path / "llama", every=False)
    said = tmp_path / "llama" / "truths.json"
    true = json.loads(said.read_text())
    gain = next(iter(true["added"]))
    said.write_text(json.dumps({**true, "heads": [7], "added": {**true["added"], gain: 1.0}}))
    wrong = families.violations(families.swept("llama", tmp_path / "llama", every=False))
    assert any("num_attention_heads 4, the model has 7" in word for word in wrong)
    assert any("+0 where the module adds 1" in word for word in wrong)
