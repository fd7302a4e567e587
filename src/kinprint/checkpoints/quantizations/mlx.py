"""MLX, as `mlx_lm.convert -q` writes it: codes of 2 to 8 bits without gaps in words of 32, groups along the input.

    NAME.weight  uint32 (..., out, in * b / 32)
    NAME.scales  float (..., out, groups); uint8 in the modes mxfp4, mxfp8 (E8M0) and nvfp4 (E4M3)
    NAME.biases  float (..., out, groups), in the mode affine alone

The weight is code * scale + bias, in float32 and rounded to the dtype of the scales; E2M1 or E4M3 value * scale as bfloat16 in
the other modes. Experts are stacked along the first axis. Source: the documentation of `mlx.core.quantize`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import BFLOAT16, FLOATS, FP4, Parts, described, settings, unpack
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (16, 32, 64, 128)
MODES = {"mxfp4": (4, 32), "nvfp4": (4, 16), "mxfp8": (8, 32)}
"""Modes other than affine: bits, and inputs that share a scale."""


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether there are words of 32 bits with scales beside them: no other scheme has unsigned ones."""
    return any(_is_coded(name, tensor, tensors) for name, tensor in tensors.items())


def _is_coded(name: str, tensor: Tensor, tensors: Tensors) -> bool:
    return tensor.dtype == np.uint32 and name.endswith(".weight") and f"{name.removesuffix('weight')}scales" in tensors


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts, said = Parts(tensors, source), config.get("quantization") or settings(config)
    ways = []
    for name in [name for name, tensor in tensors.items() if _is_coded(name, tensor, tensors)]:
        weight, way = _weight(parts, name.removesuffix(".weight"), said if isinstance(said, Mapping) else {})
        parts.put(weight)
        ways.append(way)
    return parts.left, described("MLX", ways)


def _weight(parts: Parts, module: str, said: Mapping[str, Any]) -> tuple[Tensor, str]:
    """One weight, and how it is stored."""
    packed = parts.take(f"{module}.weight", ["uint32"])
    scales = parts.take(f"{module}.scales", (*FLOATS, "uint8"))
    biases = parts.perhaps(f"{module}.biases", FLOATS)
    if len(packed.shape) not in (2, 3):
        raise parts.error(packed.name, f"has shape {packed.shape}, expected a matrix or a stack of them")
    parts.expect(scales, (*packed.shape[:-1], scales.shape[-1]))
    own = {**said, **(said[module] if isinstance(said.get(module), Mapping) else {})}
    mode = str(own.get("mode") or "affine")
    if mode != "affine" and mode not in MODES:
        raise parts.error(packed.name, f"is in MLX's mode {mode}, which is not read", "use the unquantised original")
    if (mode == "affine") != (biases is not None) or (scales.dtype == np.uint8) == (mode == "affine"):
        raise parts.error(scales.name, f"does not fit MLX's mode {mode}")
    bits, size = _sizes(parts, packed, scales, own, mode)
    shape = (*packed.shape[:-1], packed.shape[-1] * 32 // bits)
    if biases is not None:
        parts.expect(biases, scales.shape)
        load = partial(_load_affine, parts, packed, scales, biases, bits, size)
        return DecodedRows(packed.name, scales.dtype, shape, load), f"{bits} bits, groups of {size}"
    return DecodedRows(packed.name, BFLOAT16, shape, partial(_load_float, parts, packed, scales, mode)), mode


def _sizes(parts: Parts, packed: Tensor, scales: Tensor, own: Mapping[str, Any], mode: str) -> tuple[int, int]:
    """Bits and size of a group, those that fit the shapes and the configuration; only one may."""
    words, groups = packed.shape[-1], scales.shape[-1]
    ways = {(bits, words * 32 // bits // groups) for bits in BITS if words * 32 % (bits * groups) == 0}
    ways = {(bits, size) for bits, size in ways if size in GROUPS}
    told = {key: own[key] for key in ("bits", "group_size") if type(own.get(key)) is int}
    if mode != "affine":
        told = dict(zip(("bits", "group_size"), MODES[mode], strict=True))
    fitting = {way for way in ways if told.get("bits", way[0]) == way[0] and told.get("group_size", way[1]) == way[1]}
    if len(fitting) != 1:
        problem = f"has {words} words and {groups} scales a row, which do not say how many bits a code has"
        if told:
            problem = f"has {words} words and {groups} scales a row: not {' and '.join(f'{k} {v}' for k, v in told.items())}"
        raise parts.error(packed.name, problem, "put the model's own config.json beside its weights")
    return fitting.pop()


def _by_rows(shape: tuple[int, ...], flat: Rows) -> Rows:
    """What computes rows of a stack of matrices, from what computes rows of all of them one below the other."""
    if len(shape) == 2:
        return flat
    return lambda start, stop: flat(start * shape[1], stop * shape[1]).reshape(stop - start, shape[1], -1)


def _load_affine(parts: Parts, packed: Tensor, scales: Tensor, biases: Tensor, bits: int, size: int) -> Rows:
    words, factors, shifts = (t.read().reshape(-1, t.shape[-1]) for t in (packed, scales, biases))
    inputs = packed.shape[-1] * 32 // bits

    def flat(start: int, stop: int) -> Array:
        codes = unpack(words[start:stop], bits, inputs).astype(np.float32)
        each = (parts.finite(tensor, array[start:stop]) for tensor, array in ((scales, factors), (biases, shifts)))
        scale, bias = (np.repeat(values, size, axis=1) for values in each)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((codes * scale + bias).astype(scales.dtype))

    return _by_rows(packed.shape, flat)


def _load_float(parts: Parts, packed: Tensor, scales: Tensor, mode: str) -> Rows:
    words, factors = (t.read().reshape(-1, t.shape[-1]) for t in (packed, scales))
    bits, size = MODES[mode]
    inputs = packed.shape[-1] * 32 // bits

    def flat(start: int, stop: int) -> Array:
        codes = unpack(words[start:stop], bits, inputs)
        values = FP4[codes] if bits == 4 else codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
        stored = factors[start:stop]
        numbers = mode == "nvfp4"
        scale = parts.finite(scales, stored.view(ml_dtypes.float8_e4m3fn)) if numbers else parts.powers(scales, stored)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((values * np.repeat(scale, size, axis=1)).astype(BFLOAT16))

    return _by_rows(packed.shape, flat)


QUANTIZATION = Quantization("MLX", applies, decode)
