"""NVFP4 of ModelOpt: two codes a byte, two scales; beside FP8 layers in one file."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from quantised_checks import assert_decoded

from kinprint import open_checkpoint
from kinprint.errors import CheckpointError

torch = pytest.importorskip("torch")
RANDOM = np.random.default_rng(6)
VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def weight(name: str) -> tuple[dict[str, object], np.ndarray]:
    """The tensors of one weight, and the weight."""
    codes = RANDOM.integers(0, 16, (24, 64)).astype(np.uint8)
    scales = torch.tensor(RANDOM.uniform(0.5, 300, (24, 4)).astype(np.float32)).to(torch.float8_e4m3fn)
    second = np.float32(RANDOM.uniform(1e-4, 1e-3))
    wide = np.repeat(scales.float().numpy() * second, 16, axis=1)
    parts = {
        name: codes[:, ::2] | codes[:, 1::2] << 4,
        f"{name}_scale": scales,
        f"{name}_scale_2": torch.tensor(second),
        f"{name}_scale_input": torch.tensor(1.0),
    }
    return parts, (VALUES[codes] * wide).astype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("settings", [{"quant_method": "modelopt", "quant_algo": "NVFP4"}, None])
def test_values(store, settings) -> None:  # type: ignore[no-untyped-def]
    """code * scale * second scale, in float32, rounded to bfloat16."""
    parts, expected = weight("a.weight")
    folder = store(parts, settings)
    assert_decoded(folder, "a.weight", expected)
    assert open_checkpoint(folder).quantization == "NVFP4, groups of 16"


def test_beside_fp8(store) -> None:  # type: ignore[no-untyped-def]
    """Layers of the other kind are decoded too: one scale a matrix, or a power of two for 32 inputs (MXFP8)."""
    parts, _ = weight("a.weight")
    codes = torch.randn(8, 64).to(torch.float8_e4m3fn)
    parts |= {"b.weight": codes, "b.weight_scale": torch.tensor(0.5)}
    parts |= {"c.weight": codes.clone(), "c.weight_scale": torch.full((8, 2), 126, dtype=torch.uint8)}
    found = open_checkpoint(store(parts, {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"})).tensors
    for name in ("b.weight", "c.weight"):
        np.testing.assert_array_equal(found[name].read().astype(np.float32), codes.float().numpy() / 2)
    assert found["a.weight"].dtype == ml_dtypes.bfloat16


def test_a_part_that_is_missing_or_of_another_shape(store) -> None:  # type: ignore[no-untyped-def]
    parts, _ = weight("a.weight")
    wrong = {**parts, "a.weight_scale_2": torch.ones(2)}
    with pytest.raises(CheckpointError, match="expected a single number"):
        open_checkpoint(store(wrong, None, "two"))
    wrong = {**parts, "a.weight_scale": torch.ones(24, 5).to(torch.float8_e4m3fn)}
    with pytest.raises(CheckpointError, match="5 groups, which do not divide"):
        open_checkpoint(store(wrong, None, "five"))
