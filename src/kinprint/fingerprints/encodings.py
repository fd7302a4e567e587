"""How compiled code reads bf16, f16 and fp8: as integers whose fields are moved to where float32 has them.

Multiplying by a power of two then corrects the exponent, of subnormal numbers too, and vectorises on any processor.

Compiled loops are kept under the date of their own file: after a change here, save `kernels.py` again.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numba import types
from numba.extending import overload

BITS: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(ml_dtypes.bfloat16): np.dtype(np.uint16),
    np.dtype(np.float16): np.dtype(np.int16),
    np.dtype(ml_dtypes.float8_e4m3fn): np.dtype(np.uint8),
    np.dtype(ml_dtypes.float8_e5m2): np.dtype(np.int8),
}
"""The integer type under which compiled code is given the bits of each encoding: its sign only tells two apart."""


def value(bits: Any) -> Any:
    """The float32 that `bits` stand for; float32 stands for itself. For compiled code only."""
    raise NotImplementedError


def _bf16(bits: Any) -> Any:
    return np.int32(np.int32(bits) << np.int32(16)).view(np.float32)


def _f16(bits: Any) -> Any:
    sign, field = np.int32(np.int32(bits) & np.int32(0x8000)), np.int32(np.int32(bits) & np.int32(0x7FFF))
    beyond = np.int32(0x7F800000) if field >= np.int32(0x7C00) else np.int32(0)  # infinity, NaN
    moved = np.int32(np.int32(field << np.int32(13)) | np.int32(beyond | np.int32(sign << np.int32(16))))
    return moved.view(np.float32) * np.float32(2.0**112)


def _f8_e4m3fn(bits: Any) -> Any:
    sign, field = np.int32(np.int32(bits) & np.int32(0x80)), np.int32(np.int32(bits) & np.int32(0x7F))
    beyond = np.int32(0x7FC00000) if field == np.int32(0x7F) else np.int32(0)  # NaN; there is no infinity
    moved = np.int32(np.int32(field << np.int32(20)) | np.int32(beyond | np.int32(sign << np.int32(24))))
    return moved.view(np.float32) * np.float32(2.0**120)


def _f8_e5m2(bits: Any) -> Any:
    sign, field = np.int32(np.int32(bits) & np.int32(0x80)), np.int32(np.int32(bits) & np.int32(0x7F))
    beyond = np.int32(0x7F800000) if field >= np.int32(0x7C) else np.int32(0)  # infinity, NaN
    moved = np.int32(np.int32(field << np.int32(21)) | np.int32(beyond | np.int32(sign << np.int32(24))))
    return moved.view(np.float32) * np.float32(2.0**112)


def _f32(bits: Any) -> Any:
    return bits


@overload(value)
def _compiled(bits: Any) -> Any:
    by_type = {types.uint16: _bf16, types.int16: _f16, types.uint8: _f8_e4m3fn, types.int8: _f8_e5m2}
    return by_type.get(bits, _f32)
