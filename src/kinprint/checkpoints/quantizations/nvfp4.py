"""NVFP4 as NVIDIA's ModelOpt writes it: E2M1 codes in groups of 16 with E4M3 scales, and one more scale for all of them.

    NAME.weight          uint8 (out, in / 2), two codes each, the lower four bits first
    NAME.weight_scale    float8 (out, in / 16)
    NAME.weight_scale_2  float, a single number; the weight is code * weight_scale * weight_scale_2
    NAME.input_scale     of activations, left alone

The product is taken in float32 and rounded to bfloat16. Layers that are FP8 in the same file are read as that.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations import fp8
from kinprint.checkpoints.quantizations._parts import BFLOAT16, FLOATS, FP4, Grid, Parts, described, method, scaled, unpack
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

METHODS = ("", "modelopt", "modelopt_fp4", "modelopt_mixed", "nvfp4")
FIRST, SECOND = "_scale", "_scale_2"


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether bytes have two scales, and no other method is named."""
    return method(config) in METHODS and any(_is_coded(name, tensor, tensors) for name, tensor in tensors.items())


def _is_coded(name: str, tensor: Tensor, tensors: Tensors) -> bool:
    return tensor.dtype == np.uint8 and name + FIRST in tensors and name + SECOND in tensors


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts = Parts(tensors, source)
    ways = []
    for name in [name for name, tensor in tensors.items() if _is_coded(name, tensor, tensors)]:
        weight, size = _weight(parts, name)
        parts.put(weight)
        ways.append(f"groups of {size}")
    label = described("NVFP4", ways)
    if fp8.applies(parts.left, config):
        left, more = fp8.decode(parts.left, config, source)
        return left, f"{label}; {more}"
    return parts.left, label


def _weight(parts: Parts, name: str) -> tuple[Tensor, int]:
    """One weight, and how many inputs share a scale."""
    packed = parts.take(name, ["uint8"], 2)
    scale = parts.take(name + FIRST, ["float8_e4m3fn"], 2)
    whole = parts.take(name + SECOND, FLOATS)
    out, inputs, groups = packed.shape[0], packed.shape[1] * 2, scale.shape[1]
    parts.expect(scale, (out, groups))
    if inputs % groups:
        raise parts.error(scale.name, f"has {groups} groups, which do not divide {inputs} inputs")
    if math.prod(whole.shape) != 1:
        raise parts.error(whole.name, f"has shape {whole.shape}, expected a single number")

    def load() -> Rows:
        codes, factors = packed.read(), scale.read()
        factor = parts.finite(whole, whole.read().reshape(1))
        grid = Grid(lambda a, b: parts.finite(scale, factors[a:b]) * factor, 1, inputs // groups)
        return scaled(lambda a, b: FP4[unpack(codes[a:b], 4, inputs)], partial(grid.rows, columns=inputs), BFLOAT16)

    return DecodedRows(name, BFLOAT16, (out, inputs), load), inputs // groups


QUANTIZATION = Quantization("NVFP4", applies, decode)
