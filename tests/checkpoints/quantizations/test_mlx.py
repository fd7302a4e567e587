"""MLX, packed code by code as `mlx.core.quantize` documents it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from quantised_checks import assert_decoded
from safetensors.numpy import save_file

from kinprint import open_checkpoint
from kinprint.errors import CheckpointError

RANDOM = np.random.default_rng(5)
NAME = "model.layers.0.mlp.up_proj"


def packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes along the last axis, one bit after the other, lowest first (slow, and written to be obviously right)."""
    rows = codes.reshape(-1, codes.shape[-1]).astype(np.uint32)
    stream = ((rows[..., None] >> np.arange(bits)) & 1).reshape(len(rows), -1, 32)
    words = (stream.astype(np.uint64) << np.arange(32, dtype=np.uint64)).sum(-1).astype(np.uint32)
    return words.reshape(*codes.shape[:-1], -1)


def write(folder: Path, tensors: dict[str, np.ndarray], said: dict[str, Any] | None) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    if said is not None:
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "quantization": said}))
    return folder


def affine(shape: tuple[int, ...], bits: int, size: int, dtype: str = "float16") -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The tensors of one weight, and the weight."""
    codes = RANDOM.integers(0, 2**bits, shape)
    grid = (*shape[:-1], shape[-1] // size)
    scales, biases = (RANDOM.standard_normal(grid).astype(dtype) for _ in range(2))
    wide = [np.repeat(part.astype(np.float32), size, axis=-1) for part in (scales, biases)]
    parts = {f"{NAME}.weight": packed(codes, bits), f"{NAME}.scales": scales, f"{NAME}.biases": biases}
    return parts, (codes.astype(np.float32) * wide[0] + wide[1]).astype(dtype)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_codes_of_any_width(tmp_path: Path, bits: int, size: int) -> None:
    """code * scale + bias, in float32, rounded once; also of stacked experts."""
    for shape in ((24, 256), (3, 24, 256)):
        parts, expected = affine(shape, bits, size)
        folder = write(tmp_path / str(len(shape)), parts, {"group_size": size, "bits": bits})
        assert_decoded(folder, f"{NAME}.weight", expected)
        assert open_checkpoint(folder).quantization == f"MLX, {bits} bits, groups of {size}"


def test_a_layer_of_its_own_width(tmp_path: Path) -> None:
    """The configuration gives some modules other bits, by name."""
    parts, expected = affine((8, 128), 6, 32)
    said = {"group_size": 64, "bits": 4, NAME: {"group_size": 32, "bits": 6}}
    assert_decoded(write(tmp_path / "m", parts, said), f"{NAME}.weight", expected)


@pytest.mark.parametrize("mode", ["mxfp4", "nvfp4", "mxfp8"])
def test_modes_of_floating_point_codes(tmp_path: Path, mode: str) -> None:
    """E2M1 or E4M3 codes, times a power of two or an E4M3 number."""
    bits, size = {"mxfp4": (4, 32), "nvfp4": (4, 16), "mxfp8": (8, 32)}[mode]
    codes = RANDOM.integers(0, 2**bits, (16, 128)).astype(np.uint8) & (0xFF if bits == 4 else 0xF7)
    scales = RANDOM.integers(100, 120, (16, 128 // size)).astype(np.uint8)
    values = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    if bits == 4:
        values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)[codes]
    numbers = 2.0 ** (scales.astype(np.float32) - 127)
    if mode == "nvfp4":
        numbers = scales.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    expected = (values * np.repeat(numbers, size, axis=1)).astype(ml_dtypes.bfloat16)
    parts = {f"{NAME}.weight": packed(codes, bits), f"{NAME}.scales": scales}
    folder = write(tmp_path / "m", parts, {"group_size": size, "bits": bits, "mode": mode})
    assert_decoded(folder, f"{NAME}.weight", expected)
    assert open_checkpoint(folder).quantization == f"MLX, {mode}"


def test_bits_are_never_guessed(tmp_path: Path) -> None:
    """Without a configuration, 4 bits in groups of 64 and 8 bits in groups of 32 have the same shapes."""
    parts, _ = affine((8, 256), 4, 64)
    with pytest.raises(CheckpointError, match="do not say how many bits"):
        open_checkpoint(write(tmp_path / "m", parts, None))
    with pytest.raises(CheckpointError, match=r"not bits 3 and group_size 64; .*config\.json"):
        open_checkpoint(write(tmp_path / "m", parts, {"bits": 3, "group_size": 64}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({f"{NAME}.biases": None}, "does not fit MLX's mode affine"),
        ({f"{NAME}.scales": np.ones((7, 4), np.float16)}, "has shape"),
        ({f"{NAME}.biases": np.ones((8, 2), np.float16)}, "has shape"),
        ({f"{NAME}.scales": np.ones((8, 4), np.int32)}, "holds int32 values"),
        ({f"{NAME}.scales": np.full((8, 4), np.nan, np.float16)}, "NaN"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, change: dict[str, np.ndarray | None], problem: str) -> None:
    parts, _ = affine((8, 256), 4, 64)
    parts |= change  # type: ignore[arg-type]
    folder = write(tmp_path / "m", {k: v for k, v in parts.items() if v is not None}, {"bits": 4, "group_size": 64})
    with pytest.raises(CheckpointError, match=problem):
        open_checkpoint(folder).tensors[f"{NAME}.weight"].read()
