"""BitNet as transformers stores it: weights of -1, 0 and 1, four to a byte, and one scale a matrix.

    NAME.weight        uint8 (out / 4, in); bits 2i and 2i + 1 of row r are row r + i * out / 4, plus 1
    NAME.weight_scale  float, a single number: the weight is code / scale, or code * scale for `linear_class` autobitlinear

What transformers' layers compute with (`integrations/bitnet.py`), in float32, rounded to the dtype of the scale.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import FLOATS, Parts, method, settings
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

PER_BYTE = 4


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether the method is BitNet and weights are bytes: trained ones, quantised as they are used, are numbers."""
    return method(config) == "bitnet" and any(_is_coded(name, tensor) for name, tensor in tensors.items())


def _is_coded(name: str, tensor: Tensor) -> bool:
    return name.endswith(".weight") and tensor.dtype == np.uint8


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts, multiplied = Parts(tensors, source), settings(config).get("linear_class") == "autobitlinear"
    for name in [name for name, tensor in tensors.items() if _is_coded(name, tensor)]:
        packed = parts.take(name, ["uint8"], 2)
        scale = parts.take(f"{name}_scale", FLOATS)
        if math.prod(scale.shape) != 1:
            raise parts.error(scale.name, f"has shape {scale.shape}, expected a single number")
        shape = (packed.shape[0] * PER_BYTE, packed.shape[1])
        parts.put(DecodedRows(name, scale.dtype, shape, partial(_load, parts, packed, scale, multiplied)))
    return parts.left, "BitNet, 2 bits, one scale a tensor"


def _load(parts: Parts, packed: Tensor, scale: Tensor, multiplied: bool) -> Rows:
    stored, factor = packed.read(), parts.finite(scale, scale.read().reshape(1))[0]
    if not factor > 0:
        raise parts.error(scale.name, "holds a scale that is not positive")
    height = len(stored)

    def rows(start: int, stop: int) -> Array:
        index = np.arange(start, stop)
        shifts = (2 * (index // height)).astype(np.uint8)
        codes = ((stored[index % height] >> shifts[:, None]) & 3).astype(np.float32) - 1
        return np.asarray((codes * factor if multiplied else codes / factor).astype(scale.dtype))

    return rows


QUANTIZATION = Quantization("BitNet", applies, decode)
