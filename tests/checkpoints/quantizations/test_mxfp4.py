"""MXFP4 experts, against transformers' own conversion."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from quantised_checks import as_numpy, assert_decoded

from kinprint import open_checkpoint
from kinprint.checkpoints.checkpoint import read_rows

torch = pytest.importorskip("torch")
mxfp4 = pytest.importorskip("transformers.integrations.mxfp4")
RANDOM = np.random.default_rng(1)


def test_experts(store) -> None:  # type: ignore[no-untyped-def]
    """Bit for bit `convert_moe_packed_tensors`, for every byte of codes and every scale that is a number."""
    packed = RANDOM.permutation(np.resize(np.arange(256, dtype=np.uint8), 4 * 32 * 2 * 16)).reshape(4, 32, 2, 16)
    exponents = np.resize(np.arange(255, dtype=np.uint8), (4, 32, 2))
    expected = mxfp4.convert_moe_packed_tensors(torch.from_numpy(packed), torch.from_numpy(exponents))
    name = "model.layers.0.mlp.experts.gate_up_proj"
    tensors = {f"{name}_blocks": packed, f"{name}_scales": exponents, f"{name}_bias": np.ones((4, 32), np.float32)}
    for settings in ({"quant_method": "mxfp4"}, None):
        folder = store(tensors, settings, name="said" if settings else "unsaid")
        assert_decoded(folder, name, as_numpy(expected))
        assert list(open_checkpoint(folder).tensors) == [name, f"{name}_bias"]
        assert open_checkpoint(folder).quantization == "MXFP4, groups of 32"


def test_one_expert_costs_one_expert(store) -> None:  # type: ignore[no-untyped-def]
    """Reading an expert decodes no other: eight times as many experts, the same memory."""
    peaks = []
    for experts in (4, 32):
        packed = np.zeros((experts, 256, 8, 16), np.uint8)
        folder = store({"a_blocks": packed, "a_scales": np.full(packed.shape[:3], 127, np.uint8)}, name=str(experts))
        tensor = open_checkpoint(folder).tensors["a"]
        tracemalloc.start()
        assert read_rows(tensor, 2, 3).shape == (1, 256, 256)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 4_000_000
