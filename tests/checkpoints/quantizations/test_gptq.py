"""GPTQ, against weights packed bit by bit as GPTQModel publishes the layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quantised import gptq_weight
from quantised_checks import assert_decoded

from kinprint import open_checkpoint
from kinprint.checkpoints.quantizations import _quantization

WEIGHT = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_every_variant(store, bits: int, version: int, ordered: bool, symmetric: bool) -> None:  # type: ignore[no-untyped-def]
    """(code - zero) * scale in float16, bit for bit; zero points of zero wrap in version 1."""
    parts, expected = gptq_weight(WEIGHT, bits, 32, symmetric=symmetric, ordered=ordered, version=version)
    settings = {"quant_method": "gptq", "bits": bits, "group_size": 32}
    settings |= {"checkpoint_format": "gptq_v2"} if version == 2 else {}
    folder = store({f"a.{name}": array for name, array in parts.items()} | {"a.bias": np.ones(64, np.float16)}, settings)
    assert_decoded(folder, "a.weight", expected)
    checkpoint = open_checkpoint(folder)
    assert list(checkpoint.tensors) == ["a.bias", "a.weight"]
    assert checkpoint.quantization == f"GPTQ, {bits} bits, groups of 32"


@pytest.mark.parametrize("bits", [3, 4])
def test_without_a_configuration(store, bits: int) -> None:  # type: ignore[no-untyped-def]
    """Shapes say bits and groups; the format is the usual one."""
    parts, expected = gptq_weight(WEIGHT, bits, 32)
    assert_decoded(store({f"a.{name}": array for name, array in parts.items()}, name="with"), "a.weight", expected)
    del parts["g_idx"]
    assert_decoded(store({f"a.{name}": array for name, array in parts.items()}, name="without"), "a.weight", expected)


def test_one_group_and_a_last_group_cut_off(store) -> None:  # type: ignore[no-untyped-def]
    for size, label in ((96, "one scale a row"), (40, "groups of 40")):
        parts, expected = gptq_weight(WEIGHT, 4, size)
        settings = {"quant_method": "gptq", "bits": 4, "group_size": -1 if size == 96 else size}
        del parts["g_idx"]
        folder = store({f"a.{name}": array for name, array in parts.items()}, settings, name=str(size))
        assert_decoded(folder, "a.weight", expected)
        assert open_checkpoint(folder).quantization == f"GPTQ, 4 bits, {label}"


def test_weights_of_different_bits(store) -> None:  # type: ignore[no-untyped-def]
    """Bits that the configuration gives are those of most weights; each weight's own are in its shapes."""
    tensors, expected = {}, {}
    for module, bits in (("a", 4), ("b", 4), ("c", 8)):
        parts, expected[module] = gptq_weight(WEIGHT, bits, 32)
        tensors |= {f"{module}.{name}": array for name, array in parts.items()}
    folder = store(tensors, {"quant_method": "gptq", "bits": 4, "group_size": 32})
    for module, weight in expected.items():
        assert_decoded(folder, f"{module}.weight", weight)
    assert open_checkpoint(folder).quantization == "GPTQ, 4 bits, groups of 32; 8 bits, groups of 32"


def test_pieces_do_not_matter(store, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """A weight that is decoded a few rows at a time is the same."""
    parts, expected = gptq_weight(WEIGHT, 4, 32)
    folder: Path = store({f"a.{name}": array for name, array in parts.items()})
    monkeypatch.setattr(_quantization, "ELEMENTS_AT_A_TIME", 5 * 96 + 1)
    assert_decoded(folder, "a.weight", expected)
