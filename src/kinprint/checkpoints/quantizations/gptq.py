"""GPTQ as AutoGPTQ and GPTQModel write it: codes packed along the input, scales and zero points a group of inputs.

For a linear layer of `in` inputs and `out` outputs with b bits and g groups:

    qweight  int32 (in * b / 32, out)   codes of one output, down a column
    qzeros   int32 (g, out * b / 32)    zero points, along a row; less one in the format "gptq", as they are in "gptq_v2"
    scales   float (g, out)
    g_idx    int32 (in)                 the group of each input; may be absent where groups are consecutive

Codes follow each other without gaps, lowest bits first; with 3 bits some lie across two words. The weight is
(code - zero) * scale, rounded to the dtype of the scales, (out, in): what GPTQModel's `dequantize_weight` gives, bit for bit.
A stored zero point of all ones stands for 0 in "gptq" (the subtraction wrapped).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import FLOATS, Parts, blocks, described, grouped, method, settings, unpack
from kinprint.checkpoints.quantizations._quantization import Config, DecodedRows, Quantization, Rows, Tensors

BITS = (2, 3, 4, 8)
OFFSETS = {"gptq": 1, "gptq_v2": 0}


def applies(tensors: Tensors, config: Config) -> bool:
    """Whether there are packed weights of GPTQ, or of what nothing says: AWQ's are as wide as their zero points."""
    if method(config):
        return method(config) == "gptq" and any(name.endswith(".qweight") for name in tensors)
    return any(name.endswith(".qweight") and not _is_awq(tensors, name) for name in tensors)


def _is_awq(tensors: Tensors, name: str) -> bool:
    qzeros = tensors.get(name.removesuffix("qweight") + "qzeros")
    return qzeros is not None and tensors[name].shape[1:] == qzeros.shape[1:]


def decode(tensors: Tensors, config: Config, source: object) -> tuple[dict[str, Tensor], str]:
    parts, said = Parts(tensors, source), settings(config)
    if "bits" in said:
        parts.setting("bits", said["bits"], BITS.__contains__, f"one of {', '.join(map(str, BITS))}")
    size = -1 if said.get("group_size") is None else said["group_size"]
    parts.setting("group_size", size, lambda n: n > 0 or n == -1, "a number of inputs, or -1")
    form = str(said.get("checkpoint_format") or "gptq").lower()
    if form not in OFFSETS:
        raise parts.error("*.qweight", f"is in GPTQ's format {form}, which is not read", "save the model in the format gptq")
    ways = []
    for name in [name for name in tensors if name.endswith(".qweight")]:
        weight, way = _weight(parts, name.removesuffix(".qweight"), size, OFFSETS[form])
        parts.put(weight)
        ways.append(way)
    return parts.left, described("GPTQ", ways)


def _weight(parts: Parts, module: str, size: int, offset: int) -> tuple[Tensor, str]:
    """One weight, and how it is stored."""
    qweight = parts.take(f"{module}.qweight", ["int32"], 2)
    scales = parts.take(f"{module}.scales", FLOATS, 2)
    qzeros = parts.take(f"{module}.qzeros", ["int32"], 2)
    g_idx = parts.perhaps(f"{module}.g_idx", ["int32", "int64"], 1)
    (groups, out), words = scales.shape, qweight.shape[0]
    if qweight.shape[1] != out:
        raise parts.error(
            qweight.name, f"has shape {qweight.shape}, with {out} outputs by its scales: not packed as GPTQ does",
            "put the model's config.json, which says how it is quantised, beside its weights",
        )  # fmt: skip
    bits = qzeros.shape[1] * 32 // out
    parts.expect(qzeros, *((groups, out * b // 32) for b in BITS if out * b % 32 == 0))
    inputs = words * 32 // bits
    if inputs * bits != words * 32:
        raise parts.error(qweight.name, f"has {words} words a column, not a whole number of {bits}-bit codes")
    if g_idx is not None:
        parts.expect(g_idx, (inputs,))
    width = inputs if size == -1 else size
    if blocks(inputs, width) != groups:  # a configuration that is absent, or that only speaks of most weights
        width = blocks(inputs, groups)
    if g_idx is None and blocks(inputs, width) != groups:
        raise parts.error(scales.name, f"has {groups} groups for {inputs} inputs, and no g_idx says which are whose")
    load = partial(_load, parts, (qweight, scales, qzeros, g_idx), bits, inputs, width, offset)
    way = f"{bits} bits, {grouped(width, inputs)}"
    return DecodedRows(f"{module}.weight", scales.dtype, (out, inputs), load), way


def _load(parts: Parts, stored: tuple[Any, ...], bits: int, inputs: int, width: int, offset: int) -> Rows:
    """What computes rows of a weight, which are columns of the file."""
    qweight, scales, qzeros, g_idx = stored
    words, factors, zeros = (tensor.read() for tensor in (qweight, scales, qzeros))
    group = np.arange(inputs) // width if g_idx is None else np.asarray(g_idx.read(), np.int64)
    if group.min() < 0 or group.max() >= len(factors):
        raise parts.error(g_idx.name, f"names groups up to {group.max()} where there are {len(factors)}")
    points = (unpack(zeros, bits, factors.shape[1]) + np.uint8(offset)) & ((1 << bits) - 1)

    def rows(start: int, stop: int) -> Array:
        codes = unpack(words[:, start:stop].T, bits, inputs).astype(np.float32)
        codes -= points[:, start:stop].T.astype(np.float32)[:, group]
        codes *= parts.finite(scales, factors[:, start:stop].T)[:, group]
        return codes.astype(scales.dtype)

    return rows


QUANTIZATION = Quantization("GPTQ", applies, decode)
