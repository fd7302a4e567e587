"""Every kind of constant that `shift` adds is taken out again, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinprint.transforms import read_model, write
from kinprint.transforms import shift as shifting

WHERE = {
    "means": ("gpt2", "gptj", "falcon", "stablelm"),
    "read": ("gpt2", "gpt_neox", "opt", "cohere", "gptj"),
    "written": ("gpt2", "opt", "bloom", "cohere", "bert"),
    "normed_heads": ("cohere",),
    "logits": ("gpt2", "mistral", "gptj", "jamba"),
    "routers": ("mixtral", "qwen2_moe", "olmoe", "gpt_oss", "granitemoe", "deepseek_v2", "qwen3_next", "jamba"),
    "values": ("gpt2", "gpt_neox", "bloom", "llama", "falcon-interleaved", "bert"),
    "keys": ("gpt2", "opt", "bloom", "gpt_neox", "stablelm", "glm4", "bert"),
    "tokens": ("gpt2", "opt", "bert"),
}
"""Kind of constant -> families that leave it free."""


@pytest.mark.parametrize(("kind", "family"), [(kind, family) for kind, families in WHERE.items() for family in families])
def test_each_kind_by_itself(
    kind: str, family: str, original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """What is said to change changes, and probabilities stay."""
    model = shifting.prepared(read_model(original(family)))
    parts = getattr(shifting, f"_{kind}")(model, 3)
    assert parts
    for place, part in parts.items():
        assert not np.allclose(part.read(), model.parts[place].read(), rtol=1e-6, atol=0), place
    write(model.updated(parts), tmp_path / "copy")
    before, after = outputs(original(family)), outputs(tmp_path / "copy")
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("family", ["deepseek_v3", "glm4_moe", "llama4_text"])
def test_routers_without_a_softmax_stay(family: str, original: Callable[[str], Path]) -> None:
    """A sigmoid takes no constant out."""
    assert not shifting._routers(read_model(original(family)), 3)


@pytest.mark.parametrize("family", ["gpt_oss", "qwen2", "llama"])
def test_keys_stay_where_positions_turn_them(family: str, original: Callable[[str], Path]) -> None:
    """Rotary positions turn all of a key; attention sinks are compared with scores."""
    assert not shifting._keys(read_model(original(family)), 3)


def test_every_kind_is_here() -> None:
    assert [kind.__name__.removeprefix("_") for kind in shifting.KINDS] == list(WHERE)
