"""Two families trained from one seed can share their initial weights, and the tests see that."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinprint import compare
from kinprint.zoo.families import SHAPES, configuration

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(("seeds", "verdict"), [((0, 0), "related"), ((0, 1), "no-evidence")])
def test_llama_and_qwen3_of_one_seed(seeds: tuple[int, int], verdict: str, tmp_path: Path) -> None:
    """From one seed the untrained models agree and are called related; from two seeds nothing is seen."""
    for family, seed in zip(("llama", "qwen3"), seeds, strict=True):
        torch.manual_seed(seed)
        transformers.AutoModelForCausalLM.from_config(configuration(family, SHAPES["tiny"])).save_pretrained(tmp_path / family)
    assert compare(tmp_path / "llama", tmp_path / "qwen3").verdict == verdict
