"""float16 in memory: a compiled conversion, which takes numpy five times as long. `kernels.widened` is the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float32s
from kinprint.compiled import compiled
from kinprint.fingerprints.kernels import SMALL

Half = NDArray[np.float16]


def narrowed(array: Float32s) -> Half:
    """A copy as float16, each number rounded to the nearest one, of two equally near to the even one: as numpy rounds."""
    if array.size <= SMALL:
        with np.errstate(over="ignore"):
            return array.astype(np.float16)
    half = np.empty(array.shape, np.float16)
    _narrow(np.ascontiguousarray(array).reshape(-1), half.reshape(-1).view(np.uint16))
    return half


@compiled()
def _narrow(values: Any, bits: Any) -> None:
    """Fields are moved to where float16 has them, rounded by adding half of what is cut off. Below 2^-14 half numbers lie
    2^-24 apart, as float32 do between 1/2 and 1: adding 1/2 rounds to them."""
    for i in range(values.size):
        field = np.int32(np.float32(values[i]).view(np.int32))
        size = np.int32(field & np.int32(0x7FFFFFFF))
        sign = np.int32(np.int32(field >> np.int32(16)) & np.int32(0x8000))
        small = np.int32(np.float32(np.float32(size.view(np.float32)) + np.float32(0.5)).view(np.int32) - np.int32(0x3F000000))
        odd = np.int32(np.int32(size >> np.int32(13)) & np.int32(1))
        normal = np.int32(np.int32(size - np.int32(0x38000000) + np.int32(0xFFF) + odd) >> np.int32(13))
        beyond = np.int32(0x7E00) if size > np.int32(0x7F800000) else np.int32(0x7C00)
        half = small if size < np.int32(0x38800000) else normal
        half = beyond if size >= np.int32(0x47800000) else half
        bits[i] = np.uint16(np.int32(half | sign))
