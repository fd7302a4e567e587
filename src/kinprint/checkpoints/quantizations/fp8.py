"""FP8 weights with scales beside them: one a block of 128 x 128 (DeepSeek-V3), a row, or a tensor.

    NAME            float8, (out, in), or (experts, out, in)
    NAME_scale_inv  float or E8M0, (out / block, in / block), the last blocks cut off; the weight is code * scale
    NAME_scale      the same under the name that per-tensor and per-row writers use: (), (1,), (out,) or (out, 1)

The product is taken in float32 and rounded to the dtype of the scales (bfloat16 where they are powers of two, which is exact):
what transformers' `Fp8Dequantize` gives, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import (
    BFLOAT16,
    E8M0,
    FLOATS,
    FP8,
    Grid,
    Parts,
    blocks,
    described,
    method,
    scaled,
    settings,
)
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors
from kinprint.errors import CheckpointError, printable

METHODS = ("", "fp8", "fbgemm_fp8", "modelopt", "modelopt_fp8", "modelopt_mxfp8", "mxfp8")
SUFFIXES = ("_scale_inv", "_scale")
USUAL = 128


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether FP8 tensors have scales, or the configuration says that they should."""
    if method(config) not in METHODS or any(name.endswith(".weight_scale_2") for name in tensors):
        return False
    names = [name for name, tensor in tensors.items() if tensor.dtype.name in FP8]
    return bool(names) and (method(config) == "fp8" or any(name + end in tensors for name in names for end in SUFFIXES))


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts = Parts(tensors, source)
    declared = _declared(parts, settings(config).get("weight_block_size"))
    ways = []
    for name in [name for name, tensor in tensors.items() if tensor.dtype.name in FP8 and len(tensor.shape) > 1]:
        weight, way = _weight(parts, name, declared)
        parts.put(weight)
        ways.append(way)
    return parts.left, described("FP8", ways)


def _declared(parts: Parts, sizes: Any) -> Sequence[int | None]:
    """The size of a block by the configuration, for rows and columns; None where it says nothing."""
    if sizes is None:
        return None, None
    if not isinstance(sizes, list) or len(sizes) != 2:
        problem = f"its quantization_config gives weight_block_size {printable(sizes, 60)}, not two sizes of a block"
        raise CheckpointError(parts.source, problem, "use the configuration that belongs to the weights")
    return [parts.setting("weight_block_size", size, lambda n: n > 0, "two sizes of a block") for size in sizes]


def _weight(parts: Parts, name: str, declared: Sequence[int | None]) -> tuple[Tensor, str]:
    """One weight, and how it is stored."""
    weight = parts.take(name, FP8)
    if len(weight.shape) > 3:
        raise parts.error(name, f"has shape {weight.shape}, expected a matrix or a stack of them")
    end = next((end for end in SUFFIXES if name + end in parts.left), SUFFIXES[0])
    scale = parts.take(name + end, (*FLOATS, *E8M0))
    rows, columns = weight.shape[-2:]
    grid = _grid(parts, weight, scale)
    sizes = [_size(*pair) for pair in zip((rows, columns), grid[-2:], declared, strict=True)]
    height, width = (size or 0 for size in sizes)
    if not height or not width:
        raise parts.error(scale.name, f"has shape {scale.shape}, no number of equal blocks of a weight of shape {weight.shape}")
    dtype = BFLOAT16 if scale.dtype.name in E8M0 else scale.dtype
    load = partial(_load, parts, weight, scale, grid, height, width, dtype)
    way = f"blocks of {declared[0] or height} x {declared[1] or width}"
    if end == "_scale" and width >= columns:
        way = "one scale a tensor" if height >= rows else "one scale a row"
    return DecodedRows(name, dtype, weight.shape, load), f"{weight.dtype.name.removeprefix('float8_')}, {way}"


def _grid(parts: Parts, weight: Tensor, scale: Tensor) -> tuple[int, ...]:
    """The shape of the scales with as many axes as the weight."""
    stack, rows = weight.shape[:-2], weight.shape[-2]
    if scale.shape in ((), (1,)):
        return (1,) * len(weight.shape)
    if scale.shape == (rows,):
        return (*(1 for _ in stack), rows, 1)
    if len(scale.shape) != len(weight.shape) or scale.shape[:-2] not in (stack, (1,) * len(stack)):
        raise parts.error(scale.name, f"has shape {scale.shape}, which does not fit a weight of shape {weight.shape}")
    return scale.shape


def _size(length: int, count: int, declared: int | None) -> int | None:
    """The size of `count` blocks that cover a length: what the configuration says, else what is usual, else equal ones."""
    sizes = (length if count == 1 else None, declared, USUAL, length // count)
    return next((size for size in sizes if size and blocks(length, size) == count), None)


def _load(
    parts: Parts, weight: Tensor, scale: Tensor, shape: tuple[int, ...], height: int, width: int, dtype: np.dtype[Any]
) -> Rows:
    codes, factors = weight.read(), scale.read().reshape(shape)

    def matrix(array: Array, its: Array) -> Rows:
        grid = Grid(lambda first, last: parts.scale_values(scale, its[first:last]), height, width)
        return scaled(lambda a, b: array[a:b], lambda a, b: grid.rows(a, b, array.shape[1]), dtype)

    def stack(start: int, stop: int) -> Array:
        each = (matrix(codes[i], factors[i if len(factors) > 1 else 0]) for i in range(start, stop))
        return np.stack([expert(0, codes.shape[1]) for expert in each])

    return matrix(codes, factors) if codes.ndim == 2 else stack


QUANTIZATION = Quantization("FP8", applies, decode)
