"""compressed-tensors, as llm-compressor writes it and vLLM reads it.

For a layer NAME of `in` inputs and `out` outputs:

    pack-quantized    NAME.weight_packed int32 (out, in * b / 32), codes of 1 to 8 bits without gaps, plus 2^(b - 1)
                      NAME.weight_scale  (out, groups), NAME.weight_shape (2); NAME.weight_zero_point, packed down a column
                      NAME.weight_g_idx  (in), the group of each input, where activations ordered them; -1: consecutive
    int-quantized     NAME.weight int8 with NAME.weight_scale and perhaps NAME.weight_zero_point
    float-quantized,  NAME.weight float8; scales of a tensor, of rows, groups or blocks; of mxfp8 as E8M0
    naive-quantized
    nvfp4-pack-       NAME.weight_packed uint8, two E2M1 codes each; NAME.weight_scale float8, divided by
    quantized         NAME.weight_global_scale
    mxfp4-pack-       the same with E8M0 scales
    quantized

(code - zero) * scale is taken in float32 and rounded to the dtype of the scales, bfloat16 where these are of eight bits: what
the library's `decompress` gives, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import (
    BFLOAT16,
    E8M0,
    FLOATS,
    FP4,
    FP8,
    Grid,
    Parts,
    blocks,
    described,
    grouped,
    method,
    scaled,
    settings,
    unpack,
)
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

UNREAD = ("marlin-24", "sparse-24-bitmask", "sparse-bitmask", "mxfp6-pack-quantized")
INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether there are packed or scaled weights, and no other method is named."""
    if method(config) not in ("", "compressed-tensors"):
        return False
    return any(
        name.endswith(".weight_packed") or _is_plain(name, tensor, tensors, bool(method(config)))
        for name, tensor in tensors.items()
    )


def _is_plain(name: str, tensor: Tensor, tensors: Tensors, named: bool) -> bool:
    """Whether codes lie one an element; float8 is left to the scheme FP8 where no method is named."""
    kinds = ("int8", *FP8) if named else ("int8",)
    return name.endswith(".weight") and tensor.dtype.name in kinds and (named or f"{name}_scale" in tensors)


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts, said = Parts(tensors, source), settings(config)
    form, sparse = str(said.get("format") or ""), said.get("sparsity_config")
    for name in (form, str(sparse.get("format")) if isinstance(sparse, Mapping) else ""):
        if name in UNREAD:
            raise parts.error(
                "*.weight_packed", f"is in the format {name} of compressed-tensors, which is not read", "save it dense"
            )
    declared = _declared(parts, said)
    ways = []
    for name in [name for name in tensors if name.endswith(".weight_packed")]:
        own = _four_bits if tensors[name].dtype == np.uint8 else _packed
        weight, way = own(parts, name.removesuffix("_packed"), declared)
        parts.put(weight)
        ways.append(way)
    for name in [name for name, tensor in tensors.items() if _is_plain(name, tensor, tensors, bool(method(config)))]:
        weight, way = _plain(parts, name, declared)
        parts.put(weight)
        ways.append(way)
    return parts.left, described("compressed-tensors", ways)


class _Declared(NamedTuple):
    """What the configuration says about some of the weights: numbers of bits, and sizes of blocks."""

    bits: set[int]
    structures: list[tuple[int, int]]


def _declared(parts: Parts, said: Mapping[str, Any]) -> _Declared:
    found = _Declared(set(), [])
    groups = said.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if not isinstance(weights, Mapping):
            continue
        found.bits.add(parts.setting("num_bits", weights.get("num_bits", 8), range(1, 9).__contains__, "1 to 8"))
        if weights.get("group_size") is not None:
            parts.setting("group_size", weights["group_size"], lambda n: n > 0 or n == -1, "a number of inputs, or -1")
        sizes = weights.get("block_structure")
        if isinstance(sizes, list) and len(sizes) == 2:
            height, width = (parts.setting("block_structure", n, lambda n: n > 0, "two sizes of a block") for n in sizes)
            found.structures.append((height, width))
    return found


def _packed(parts: Parts, name: str, declared: _Declared) -> tuple[Tensor, str]:
    """Integers of any number of bits."""
    packed = parts.take(f"{name}_packed", ["int32"], 2)
    scale = parts.take(f"{name}_scale", FLOATS)
    out, words = packed.shape
    inputs = _inputs(parts, name, out, words)
    fitting = {b for b in range(1, 9) if blocks(inputs * b, 32) == words}
    if len(fitting) != 1:  # few inputs, which leave room in their words
        fitting &= declared.bits
    if len(fitting) != 1:
        raise parts.error(packed.name, f"has {words} words a row, from which the bits of {inputs} inputs cannot be told")
    (bits,) = fitting
    shape = _grid(parts, scale, out, inputs, [])
    count = shape[1]
    stored = parts.perhaps(f"{name}_zero_point", INTEGERS)
    if stored is not None and stored.dtype == np.int32:
        parts.expect(stored, (blocks(out * bits, 32), count))
    elif stored is not None:
        parts.expect(stored, scale.shape)
    g_idx = parts.perhaps(f"{name}_g_idx", ["int32", "int64"], 1)
    if g_idx is not None:
        parts.expect(g_idx, (inputs,))
    load = partial(_load_packed, parts, packed, scale, stored, g_idx, shape, (out, inputs), bits)
    way = f"{bits} bits, {grouped(inputs // count, inputs)}"
    return DecodedRows(name, scale.dtype, (out, inputs), load), way


def _inputs(parts: Parts, name: str, out: int, words: int) -> int:
    """How many inputs a packed weight has, by its `weight_shape`, which must agree with the words."""
    stored = parts.take(f"{name}_shape", ["int32", "int64"], 1)
    parts.expect(stored, (2,))
    shape = stored.read().tolist()
    if shape[0] != out or not 0 < shape[1] <= words * 32:
        raise parts.error(stored.name, f"says {shape[0]} x {shape[1]}, which {out} rows of {words} words are not")
    return int(shape[1])


def _load_packed(
    parts: Parts,
    packed: Tensor,
    scale: Tensor,
    stored: Tensor | None,
    g_idx: Tensor | None,
    shape: tuple[int, int],
    matrix: tuple[int, int],
    bits: int,
) -> Rows:
    words, factors = packed.read(), scale.read().reshape(shape)
    (out, inputs), half = matrix, 1 << (bits - 1)
    zeros = np.zeros(shape, np.int32)
    if stored is not None and stored.dtype == np.int32:
        zeros = unpack(stored.read().T, bits, out).T.astype(np.int32) - half
    elif stored is not None:
        zeros = stored.read().reshape(shape).astype(np.int32)
    group = np.arange(inputs) // (inputs // shape[1])
    if g_idx is not None and (named := np.asarray(g_idx.read(), np.int64)).min() != -1:
        if named.min() < 0 or named.max() >= shape[1]:
            raise parts.error(g_idx.name, f"names groups up to {named.max()} where there are {shape[1]}")
        group = named

    def of(numbers: Array, start: int, stop: int) -> Array:
        return (numbers[start:stop] if len(numbers) > 1 else numbers)[:, group]

    def points(start: int, stop: int) -> Array:
        return of(zeros, start, stop).astype(np.float32)

    def codes(start: int, stop: int) -> Array:
        return unpack(words[start:stop], bits, inputs).astype(np.float32) - half

    def scales(start: int, stop: int) -> Array:
        return of(parts.finite(scale, factors[start:stop] if len(factors) > 1 else factors), 0, stop - start)

    return scaled(codes, scales, scale.dtype, None if stored is None else points)


def _grid(parts: Parts, scale: Tensor, out: int, inputs: int, structures: list[tuple[int, int]]) -> tuple[int, int]:
    """The shape of scales as rows and columns of blocks that cover a weight."""
    if math.prod(scale.shape) == 1:
        return 1, 1
    if scale.shape == (out,):
        return out, 1
    if len(scale.shape) == 2:
        rows, columns = scale.shape
        if (rows in (1, out) and inputs % columns == 0) or any(
            (blocks(out, height), blocks(inputs, width)) == scale.shape for height, width in structures
        ):
            return rows, columns
    raise parts.error(scale.name, f"has shape {scale.shape}, which does not fit a weight of {out} x {inputs}")


def _plain(parts: Parts, name: str, declared: _Declared) -> tuple[Tensor, str]:
    """Codes one an element: int8 or float8."""
    weight = parts.take(name, ["int8", *FP8], 2)
    scale = parts.take(f"{name}_scale", (*FLOATS, *E8M0))
    out, inputs = weight.shape
    rows, columns = _grid(parts, scale, out, inputs, declared.structures)
    fits = [s for s in declared.structures if (blocks(out, s[0]), blocks(inputs, s[1])) == (rows, columns)]
    height, width = (blocks(out, rows), inputs // columns) if rows in (1, out) and inputs % columns == 0 else fits[0]
    stored = parts.perhaps(f"{name}_zero_point", (*INTEGERS, *FP8, *FLOATS))
    if stored is not None:
        parts.expect(stored, scale.shape)
    dtype = BFLOAT16 if scale.dtype.name in E8M0 else scale.dtype

    def load() -> Rows:
        codes, factors = weight.read(), scale.read().reshape(rows, columns)
        grid = Grid(lambda a, b: parts.scale_values(scale, factors[a:b]), height, width)
        zeros: Rows | None = None
        if stored is not None:
            points = stored.read().reshape(rows, columns)
            shifts = Grid(lambda a, b: parts.finite(stored, points[a:b]), height, width)
            zeros = partial(shifts.rows, columns=inputs)
        return scaled(lambda a, b: codes[a:b], partial(grid.rows, columns=inputs), dtype, zeros)

    kind = "int8" if weight.dtype == np.int8 else f"FP8 {weight.dtype.name.removeprefix('float8_')}"
    way = "one scale a tensor" if rows == columns == 1 else grouped(width, inputs)
    return DecodedRows(name, dtype, (out, inputs), load), f"{kind}, {way if fits == [] else f'blocks of {height} x {width}'}"


def _four_bits(parts: Parts, name: str, _: _Declared) -> tuple[Tensor, str]:
    """E2M1 codes: nvfp4 or mxfp4, by what the scales are."""
    packed = parts.take(f"{name}_packed", ["uint8"], 2)
    scale = parts.take(f"{name}_scale", [*E8M0, *FP8, *FLOATS], 2)
    whole = parts.perhaps(f"{name}_global_scale", FLOATS)
    out, inputs = packed.shape[0], packed.shape[1] * 2
    groups = scale.shape[1]
    parts.expect(scale, (out, groups))
    if inputs % groups:
        raise parts.error(scale.name, f"has {groups} groups, which do not divide {inputs} inputs")
    if whole is not None and math.prod(whole.shape) != 1:
        raise parts.error(whole.name, f"has shape {whole.shape}, expected a single number")

    def load() -> Rows:
        codes, factors = packed.read(), scale.read()
        divisor = np.ones(1, np.float32) if whole is None else parts.finite(whole, whole.read().reshape(1))
        if not divisor[0] > 0:
            raise parts.error(whole.name if whole else name, "holds a scale that is not positive")
        grid = Grid(lambda a, b: parts.scale_values(scale, factors[a:b]) / divisor, 1, inputs // groups)
        return scaled(lambda a, b: FP4[unpack(codes[a:b], 4, inputs)], partial(grid.rows, columns=inputs), BFLOAT16)

    kind = "MXFP4" if scale.dtype.name in E8M0 else "NVFP4"
    return DecodedRows(name, BFLOAT16, (out, inputs), load), f"{kind}, groups of {inputs // groups}"


QUANTIZATION = Quantization("compressed-tensors", applies, decode)
