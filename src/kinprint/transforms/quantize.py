"""quantize: round weights to eight or four bits and back."""

from __future__ import annotations

from typing import Literal

import ml_dtypes
import numpy as np

from kinprint.arrays import Float32s
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, matrices
from kinprint.transforms._transform import Transform

Scheme = Literal["int8", "int4", "fp8"]
GROUP = 32
"""Neighbouring inputs that share a scale in int4."""


def quantize(model: Model, *, scheme: Scheme = "int8") -> Model:
    """Round the matrices inside the layers to few bits, and store the rounded values in the model's own type.

    What is lost is what a quantised checkpoint loses; the folder loads anywhere.

    Args:
        scheme: int8: a scale an output row. int4: a scale for every 32 inputs of a row. fp8: E4M3, a scale a matrix.
            All round to nearest, symmetric around zero.
    """
    if scheme not in SCHEMES:
        raise TransformError(scheme, "no scheme of quantisation", f"choose from {', '.join(SCHEMES)}")
    rounded = SCHEMES[scheme]
    return model.updated({place: changed(part, rounded) for place, part in matrices(model)})


def int8(array: Float32s) -> Float32s:
    """(outputs, inputs) rounded to 255 steps a row."""
    return _steps(array, 127)


def int4(array: Float32s) -> Float32s:
    """(outputs, inputs) rounded to 15 steps for every GROUP inputs of a row; the last group may be shorter."""
    return np.concatenate([_steps(array[:, at : at + GROUP], 7) for at in range(0, array.shape[1], GROUP)], axis=1)


def fp8(array: Float32s) -> Float32s:
    """(outputs, inputs) rounded to E4M3, the largest entry scaled to the largest number of that type."""
    largest = float(np.abs(array).max(initial=0))
    if not np.isfinite(largest) or largest == 0:
        return array
    scale = np.float32(largest / 448.0)
    return np.asarray((array / scale).astype(ml_dtypes.float8_e4m3fn).astype(array.dtype) * scale)


def _steps(array: Float32s, steps: int) -> Float32s:
    scale = np.abs(array).max(axis=1, keepdims=True, initial=0) / np.float32(steps)
    return np.asarray(np.round(array / np.where(scale == 0, 1, scale)) * scale)


SCHEMES = {"int8": int8, "int4": int4, "fp8": fp8}

TRANSFORM = Transform(
    "quantize", "derivation", quantize, "kinprint transform quantize examples/models/base -o int4 --scheme int4"
)
