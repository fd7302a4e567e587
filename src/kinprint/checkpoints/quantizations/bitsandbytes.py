"""bitsandbytes: LLM.int8() and the four-bit types nf4 and fp4, with or without double quantisation.

int8, for a layer NAME:

    NAME.weight  int8 (out, in)          NAME.SCB            float32 (out), the largest magnitude of each row
    the weight is code * SCB / 127       NAME.weight_format  0: rows, the only format that is still written

Four bits, for a tensor NAME of n entries, in blocks of `blocksize` entries in their order, across rows:

    NAME                                   n / 2 bytes, two codes each, the upper four bits first; of any dtype
    NAME.quant_map                         float32 (16), the value of each code
    NAME.absmax                            float32, one a block; or uint8 codes of it where it is quantised again:
    NAME.nested_absmax, NAME.nested_quant_map
    NAME.quant_state.bitsandbytes__nf4     JSON: shape, dtype, blocksize, nested_blocksize, nested_offset

Decoded values are those of bitsandbytes' `dequantize_4bit` and `int8_vectorwise_dequant` on a processor, bit for bit (but for
the sign of zeros in fp4, on which its own kernels differ). int8 gives float32, four bits the dtype that their state names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.quantizations._parts import FLOAT32, Parts, blocks, described, method, scaled, unpack
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors
from kinprint.errors import CheckpointError

STATE = ".quant_state.bitsandbytes__"
DTYPES = {"float32": FLOAT32, "float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
MAX_STATE = 65_536
TO_UNIT = np.float32(7.874015718698502e-3)
"""1 / 127 as the library multiplies by it."""


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether there are its states or row magnitudes, or it is named and there are int8 weights."""
    if method(config) not in ("", "bitsandbytes"):
        return False
    return bool(_marks(tensors)) or (bool(method(config)) and any(_is_int8(*item) for item in tensors.items()))


def _marks(tensors: Tensors) -> list[str]:
    """Names that only this library gives: one for each quantised tensor."""
    states = [name for name in tensors if STATE in name]
    rows = [f"{name.removesuffix('weight')}SCB" for name, tensor in tensors.items() if _is_int8(name, tensor)]
    return states + [name for name in rows if name in tensors]


def _is_int8(name: str, tensor: Tensor) -> bool:
    return name.endswith(".weight") and tensor.dtype == np.int8


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts = Parts(tensors, source)
    ways = []
    for mark in _marks(tensors):
        weight, way = _four_bits(parts, mark) if STATE in mark else _eight_bits(parts, mark.removesuffix(".SCB"))
        parts.put(weight)
        ways.append(way)
    for name, tensor in parts.left.items():
        if _is_int8(name, tensor):
            raise parts.error(name, "holds int8 values and has no SCB beside it")
    return parts.left, described("bitsandbytes", ways)


def _eight_bits(parts: Parts, module: str) -> tuple[Tensor, str]:
    weight = parts.take(f"{module}.weight", ["int8"], 2)
    largest = parts.take(f"{module}.SCB", ["float32"], 1)
    parts.expect(largest, weight.shape[:1])
    form = parts.perhaps(f"{module}.weight_format", ["uint8"])
    if form is not None and (math.prod(form.shape) != 1 or form.read().any()):
        raise parts.error(form.name, "names a weight format other than rows", "save the model with bitsandbytes 0.45 or later")

    def load() -> Rows:
        codes, rows = weight.read(), largest.read()
        # code * row * (1 / 127), in the library's order
        once = scaled(lambda a, b: codes[a:b], lambda a, b: parts.finite(largest, rows[a:b])[:, None], FLOAT32)
        return lambda a, b: once(a, b) * TO_UNIT

    return DecodedRows(weight.name, FLOAT32, weight.shape, load), "int8, one scale a row"


@dataclass(frozen=True)
class _State:
    """What the JSON beside a tensor says, checked."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    block: int
    nested_block: int
    offset: float


def _four_bits(parts: Parts, mark: str) -> tuple[Tensor, str]:
    name, _, kind = mark.partition(STATE)
    state = _state(parts, parts.take(mark, ["uint8"], 1))
    count = math.prod(state.shape)
    packed = parts.take(name, ["uint8", "int8", *DTYPES])
    if math.prod(packed.shape) * packed.dtype.itemsize != blocks(count, 2):
        raise parts.error(name, f"has shape {packed.shape}, not the bytes of {count} codes of a tensor of shape {state.shape}")
    table = parts.take(f"{name}.quant_map", ["float32"], 1)
    parts.expect(table, (16,))
    largest = parts.take(f"{name}.absmax", ["float32", "uint8"], 1)
    parts.expect(largest, (blocks(count, state.block),))
    nested = None
    if largest.dtype == np.uint8:
        nested = (
            parts.take(f"{name}.nested_absmax", ["float32"], 1),
            parts.take(f"{name}.nested_quant_map", ["float32"], 1),
        )
        parts.expect(nested[0], (blocks(largest.shape[0], state.nested_block),))
        parts.expect(nested[1], (256,))
    load = partial(_load, parts, state, packed, table, largest, nested)
    way = f"{kind}, blocks of {state.block}" + (", quantised twice" if nested else "")
    return DecodedRows(name, state.dtype, state.shape, load), way


def _state(parts: Parts, stored: Tensor) -> _State:
    if stored.shape[0] > MAX_STATE:
        raise parts.error(stored.name, f"holds {stored.shape[0]:,} bytes, more than the {MAX_STATE:,} allowed")
    try:
        said = parse_object(stored.read().tobytes(), stored.name)
        shape, dtype, block = said["shape"], said["dtype"], said["blocksize"]
        nested_block, offset = said.get("nested_blocksize", 256), said.get("nested_offset", 0.0)
        sizes = [*shape, block, nested_block]
        fits = shape and len(shape) <= 8 and all(type(n) is int and 0 < n < 2**40 for n in sizes) and dtype in DTYPES
        if fits and math.isfinite(offset):
            return _State(tuple(shape), DTYPES[dtype], block, nested_block, float(offset))
    except (CheckpointError, KeyError, TypeError, OverflowError):
        pass
    raise parts.error(stored.name, "does not say shape, dtype and size of the blocks of its weight")


def _load(
    parts: Parts, state: _State, packed: Tensor, table: Tensor, largest: Tensor, nested: tuple[Tensor, Tensor] | None
) -> Rows:
    codes = np.ascontiguousarray(packed.read()).reshape(-1).view(np.uint8)
    values, maxima = parts.finite(table, table.read()), largest.read()
    second = [parts.finite(tensor, tensor.read()) for tensor in nested] if nested else []
    row = math.prod(state.shape[1:])

    def scales(first: int, last: int) -> Array:
        """Of some blocks."""
        found = maxima[first:last]
        if second:
            scale = second[0][np.arange(first, last) // state.nested_block]
            found = second[1][found] * scale + np.float32(state.offset)
        return parts.finite(largest, found)

    def rows(start: int, stop: int) -> Array:
        low, high = start * row, stop * row
        pairs = unpack(codes[None, low // 2 : blocks(high, 2)], 4, 2 * (blocks(high, 2) - low // 2))
        entries = pairs.reshape(-1, 2)[:, ::-1].reshape(-1)[low % 2 : low % 2 + high - low]  # the upper half comes first
        first = low // state.block
        factors = scales(first, blocks(high, state.block))[np.arange(low, high) // state.block - first]
        return (values[entries] * factors).astype(state.dtype).reshape(stop - start, *state.shape[1:])

    return rows


QUANTIZATION = Quantization("bitsandbytes", applies, decode)
