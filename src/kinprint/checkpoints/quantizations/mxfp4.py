"""MXFP4 experts as gpt-oss stores them: E2M1 codes in blocks of 32 that share a power of two.

    NAME_blocks  uint8 (experts, rows, g, 16)   two codes a byte, the lower four bits first
    NAME_scales  uint8 (experts, rows, g)       E8M0

The weight is bfloat16 (experts, g * 32, rows), which is how transformers holds it: what its `convert_moe_packed_tensors`
gives, bit for bit. (Where a value is beyond bfloat16, both give infinity.)
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import BFLOAT16, FP4, Parts, method, unpack
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

BLOCKS, SCALES = "_blocks", "_scales"


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether there are blocks of 16 bytes, and no other method is named."""
    return method(config) in ("", "mxfp4") and any(
        name.endswith(BLOCKS) and tensor.dtype == np.uint8 and tensor.shape[-1:] == (16,) for name, tensor in tensors.items()
    )


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts = Parts(tensors, source)
    for name in [name for name, tensor in tensors.items() if name.endswith(BLOCKS) and tensor.dtype == np.uint8]:
        packed = parts.take(name, ["uint8"], 4)
        scales = parts.take(name.removesuffix(BLOCKS) + SCALES, ["uint8"], 3)
        experts, rows, groups, _ = packed.shape
        parts.expect(packed, (experts, rows, groups, 16))
        parts.expect(scales, (experts, rows, groups))
        load = partial(_load, parts, packed, scales)
        parts.put(DecodedRows(name.removesuffix(BLOCKS), BFLOAT16, (experts, groups * 32, rows), load))
    return parts.left, "MXFP4, groups of 32"


def _load(parts: Parts, packed: Tensor, scales: Tensor) -> Rows:
    codes, exponents = packed.read(), scales.read()

    def expert(index: int) -> Array:
        values = FP4[unpack(codes[index].reshape(-1, 16), 4, 32)].reshape(*exponents.shape[1:], 32)
        with np.errstate(over="ignore"):
            values *= parts.powers(scales, exponents[index])[..., None]
            return values.reshape(len(values), -1).T.astype(BFLOAT16)

    return lambda start, stop: np.stack([expert(index) for index in range(start, stop)])


QUANTIZATION = Quantization("MXFP4", applies, decode)
