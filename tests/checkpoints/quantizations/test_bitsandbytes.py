"""bitsandbytes, against the library's own dequantisation on a processor."""

from __future__ import annotations

import copy

import pytest
from quantised_checks import as_numpy, assert_decoded

from kinprint import open_checkpoint

torch = pytest.importorskip("torch")
functional = pytest.importorskip("bitsandbytes.functional")


def in_one_row(packed, state):  # type: ignore[no-untyped-def]
    """What the library makes of a matrix when it is told that it has one row.

    Its kernel for processors with AVX-512 begins a new block with every row (0.50.2), which is not how the matrix was packed.
    """
    flat = copy.copy(state)
    flat.shape = torch.Size([1, state.shape.numel()])
    return functional.dequantize_4bit(packed, flat).reshape(state.shape)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("shape", [(64, 96), (300, 64), (7, 26), (5, 13)])
def test_four_bits(store, kind: str, twice: bool, dtype, shape: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    """Bit for bit what `dequantize_4bit` gives, for blocks that end inside rows and odd numbers of codes as well.

    Of fp4 the library has two zeros, and its kernels do not agree on the sign of one of them.
    """
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    packed, state = functional.quantize_4bit(weight, quant_type=kind, compress_statistics=twice)
    expected = in_one_row(packed, state)
    parts = {f"a.weight.{name}": tensor for name, tensor in state.as_dict(packed=True).items()}
    folder = store({"a.weight": packed, **parts}, {"quant_method": "bitsandbytes", "load_in_4bit": True})
    assert_decoded(folder, "a.weight", as_numpy(expected), bits=kind == "nf4")
    assert open_checkpoint(folder).quantization == f"bitsandbytes, {kind}, blocks of 64{', quantised twice' if twice else ''}"


def test_other_blocks_and_storage(store) -> None:  # type: ignore[no-untyped-def]
    """Blocks of 128, codes stored as bfloat16, nothing said by a configuration."""
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(1))
    packed, state = functional.quantize_4bit(weight, blocksize=128, quant_type="nf4", quant_storage=torch.bfloat16)
    parts = {f"a.weight.{name}": tensor for name, tensor in state.as_dict(packed=True).items()}
    assert_decoded(store({"a.weight": packed, **parts}), "a.weight", as_numpy(in_one_row(packed, state)))


@pytest.mark.parametrize("said", [True, False])
def test_int8(store, said: bool) -> None:  # type: ignore[no-untyped-def]
    """Bit for bit what `int8_vectorwise_dequant` gives."""
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(1)).to(torch.float16)
    codes, rows, _ = functional.int8_vectorwise_quant(weight)
    parts = {"a.weight": codes, "a.SCB": rows, "a.weight_format": torch.tensor(0, dtype=torch.uint8)}
    folder = store(parts, {"quant_method": "bitsandbytes", "load_in_8bit": True} if said else None)
    assert_decoded(folder, "a.weight", as_numpy(functional.int8_vectorwise_dequant(codes, rows)))
    assert list(open_checkpoint(folder).tensors) == ["a.weight"]
