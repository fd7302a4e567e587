"""FP8 with scales, against transformers' and compressed-tensors' dequantisation."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from quantised_checks import as_numpy, assert_decoded

from kinprint import open_checkpoint

torch = pytest.importorskip("torch")
finegrained = pytest.importorskip("transformers.integrations.finegrained_fp8")


def codes(*shape: int):  # type: ignore[no-untyped-def]
    return (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 90).to(torch.float8_e4m3fn)


def scales(*shape: int):  # type: ignore[no-untyped-def]
    return torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 1e-3


def theirs(weight, scale):  # type: ignore[no-untyped-def]
    return as_numpy(finegrained.Fp8Dequantize(SimpleNamespace())._dequantize_one(weight, scale))


@pytest.mark.parametrize("shape", [(256, 384), (3, 256, 128)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks(store, shape: tuple[int, ...], dtype) -> None:  # type: ignore[no-untyped-def]
    """Blocks of 128 x 128 of a matrix and of stacked experts, bit for bit."""
    weight, scale = codes(*shape), scales(*shape[:-2], shape[-2] // 128, shape[-1] // 128).to(dtype)
    settings = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    folder = store({"a.weight": weight, "a.weight_scale_inv": scale}, settings)
    assert_decoded(folder, "a.weight", theirs(weight, scale))
    assert open_checkpoint(folder).quantization == "FP8, e4m3fn, blocks of 128 x 128"


@pytest.mark.parametrize("said", [True, False])
def test_blocks_that_do_not_divide(store, said: bool) -> None:  # type: ignore[no-untyped-def]
    """The last blocks are cut off, as compressed-tensors reads DeepSeek's checkpoints."""
    converters = pytest.importorskip("compressed_tensors.entrypoints.convert.converters")
    weight, scale = codes(200, 300), scales(2, 3)
    reader = converters.FP8BlockDequantizer(targets=["a"], dtype=torch.float32)
    expected = reader.process({"a.weight": weight, "a.weight_scale_inv": scale})["a.weight"]
    settings = {"quant_method": "fp8", "weight_block_size": [128, 128]} if said else None
    folder = store({"a.weight": weight, "a.weight_scale_inv": scale}, settings)
    assert_decoded(folder, "a.weight", as_numpy(expected))


def test_powers_of_two(store) -> None:  # type: ignore[no-untyped-def]
    """E8M0 scales, as their own dtype or as bytes."""
    weight, scale = codes(256, 128), torch.randint(110, 130, (2, 1), dtype=torch.uint8)
    expected = theirs(weight, scale)
    assert_decoded(store({"a.weight": weight, "a.weight_scale_inv": scale}, name="bytes"), "a.weight", expected)
    its_own = scale.view(torch.float8_e8m0fnu)
    assert_decoded(store({"a.weight": weight, "a.weight_scale_inv": its_own}, name="e8m0"), "a.weight", expected)


@pytest.mark.parametrize(("shape", "way"), [((), "tensor"), ((1,), "tensor"), ((64,), "row"), ((64, 1), "row")])
def test_one_scale(store, shape: tuple[int, ...], way: str) -> None:  # type: ignore[no-untyped-def]
    """One scale for all, or for each row, under the name that such writers use."""
    weight, scale = codes(64, 96), scales(*shape)
    folder = store({"a.weight": weight, "a.weight_scale": scale, "a.input_scale": torch.ones(())})
    assert_decoded(folder, "a.weight", as_numpy(weight.float() * scale.reshape(-1, 1)))
    assert open_checkpoint(folder).quantization == f"FP8, e4m3fn, one scale a {way}"


def test_without_scales(store) -> None:  # type: ignore[no-untyped-def]
    """FP8 that nothing says to be scaled is what it is."""
    checkpoint = open_checkpoint(store({"a.weight": codes(64, 96)}))
    assert checkpoint.quantization == ""
    assert checkpoint.tensors["a.weight"].dtype.name == "float8_e4m3fn"
