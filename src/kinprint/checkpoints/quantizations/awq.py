"""AWQ as AutoAWQ's GEMM kernels read it: 4-bit codes packed along the output, eight to a word, in an order of their own.

For a linear layer of `in` inputs and `out` outputs with g groups of inputs:

    qweight  int32 (in, out / 8)    four-bit fields, lowest first, of the outputs 0, 2, 4, 6, 1, 3, 5, 7 of each eight
    qzeros   int32 (g, out / 8)     zero points in the same order
    scales   float (g, out)

The weight is (code - zero) * scale, rounded to the dtype of the scales, (out, in): what AutoAWQ's `dequantize_gemm` gives, bit
for bit.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import FLOATS, Parts, described, grouped, method, settings, unpack
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

FIELDS = np.argsort([0, 2, 4, 6, 1, 3, 5, 7])
"""Which field of a word holds each output."""


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether there are packed weights and the method is AWQ, or nothing says the method and every one has AWQ's shape."""
    names = [name for name in tensors if name.endswith(".qweight")]
    if method(config):
        return method(config) == "awq" and bool(names)
    return bool(names) and all(_fits(tensors, name.removesuffix("qweight")) for name in names)


def _fits(tensors: Tensors, module: str) -> bool:
    shapes = [tensors[module + part].shape for part in ("qweight", "qzeros", "scales") if module + part in tensors]
    return len(shapes) == 3 and all(len(s) == 2 for s in shapes) and shapes[0][1] == shapes[1][1] == shapes[2][1] / 8


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts, said = Parts(tensors, source), settings(config)
    parts.setting("bits", said.get("bits", said.get("w_bit", 4)), lambda n: n == 4, "4")
    parts.setting(
        "group_size", said.get("group_size", said.get("q_group_size", -1)), lambda n: n > 0 or n == -1, "a size or -1"
    )
    version = str(said.get("version") or "gemm").lower()
    if version != "gemm":
        raise parts.error(
            "*.qweight", f"is in AWQ's version {version}, which is not read", "save the model in the version gemm"
        )
    ways = []
    for name in [name for name in tensors if name.endswith(".qweight")]:
        weight, way = _weight(parts, name.removesuffix(".qweight"))
        parts.put(weight)
        ways.append(way)
    return parts.left, described("AWQ, 4 bits", ways)


def _weight(parts: Parts, module: str) -> tuple[Tensor, str]:
    """One weight, and how it is stored."""
    qweight = parts.take(f"{module}.qweight", ["int32"], 2)
    scales = parts.take(f"{module}.scales", FLOATS, 2)
    qzeros = parts.take(f"{module}.qzeros", ["int32"], 2)
    inputs, words = qweight.shape
    groups, out = scales.shape
    parts.expect(scales, (groups, words * 8))
    parts.expect(qzeros, (groups, words))
    if inputs % groups:
        raise parts.error(scales.name, f"has {groups} groups, which do not divide {inputs} inputs")
    load = partial(_load, parts, qweight, scales, qzeros)
    return DecodedRows(f"{module}.weight", scales.dtype, (out, inputs), load), grouped(inputs // groups, inputs)


def _load(parts: Parts, qweight: Tensor, scales: Tensor, qzeros: Tensor) -> Rows:
    """What computes rows of a weight, which are columns of the file."""
    words, points, factors = qweight.read(), qzeros.read(), scales.read()
    width = len(words) // len(factors)

    def rows(start: int, stop: int) -> Array:
        first, last = start // 8, -(-stop // 8)
        mine = slice(start - 8 * first, stop - 8 * first)
        codes = _fields(words[:, first:last])[:, mine].astype(np.float32)
        codes -= np.repeat(_fields(points[:, first:last])[:, mine].astype(np.float32), width, axis=0)
        codes *= np.repeat(parts.finite(scales, factors[:, start:stop]), width, axis=0)
        return codes.T.astype(scales.dtype)

    return rows


def _fields(words: Array) -> Array:
    """The codes of some words in the order of the outputs, (rows, 8 * words) uint8."""
    count = words.shape[1] * 8
    return unpack(words, 4, count).reshape(len(words), -1, 8)[..., FIELDS].reshape(len(words), count)


QUANTIZATION = Quantization("AWQ", applies, decode)
