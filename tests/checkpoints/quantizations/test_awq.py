"""AWQ, against weights packed field by field as AutoAWQ publishes the layout, and against compressed-tensors' reader of it."""

from __future__ import annotations

import numpy as np
import pytest
from quantised import awq_weight
from quantised_checks import as_numpy, assert_decoded

from kinprint import open_checkpoint

WEIGHT = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float32)
SETTINGS = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}


@pytest.mark.parametrize("size", [16, 32, 96])
@pytest.mark.parametrize("said", [True, False])
def test_groups(store, size: int, said: bool) -> None:  # type: ignore[no-untyped-def]
    """(code - zero) * scale in float16, bit for bit, with and without a configuration."""
    parts, expected = awq_weight(WEIGHT, size)
    settings = {**SETTINGS, "group_size": size} if said else None
    folder = store({f"a.{name}": array for name, array in parts.items()}, settings)
    assert_decoded(folder, "a.weight", expected)
    assert open_checkpoint(folder).quantization == f"AWQ, 4 bits, {'one scale a row' if size == 96 else f'groups of {size}'}"


def test_agrees_with_compressed_tensors(store) -> None:  # type: ignore[no-untyped-def]
    """The library's converter of AutoAWQ checkpoints reads the same weight, bit for bit."""
    convert = pytest.importorskip("compressed_tensors.entrypoints.convert.converters.autoawq")
    import torch
    from compressed_tensors.compressors import PackedQuantizationCompressor

    parts, _ = awq_weight(WEIGHT, 32)
    stored = {f"a.{name}": torch.from_numpy(np.ascontiguousarray(array)) for name, array in parts.items()}
    converter = convert.AutoAWQConverter(bits=4, group_size=32)
    converted = converter.process({name: tensor.clone() for name, tensor in stored.items()})
    scheme = next(iter(converter.update_config(None).config_groups.values()))
    state = {name.removeprefix("a."): tensor for name, tensor in converted.items()}
    weight = PackedQuantizationCompressor.decompress(state, scheme)["weight"]
    assert_decoded(store(stored, SETTINGS), "a.weight", as_numpy(weight))
