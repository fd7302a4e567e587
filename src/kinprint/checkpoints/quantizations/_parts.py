"""What the schemes share: taking the stored parts of a weight, unpacking codes, multiplying by scales.

Everything here comes from strangers. Shapes and dtypes are checked when a part is taken, values when they are read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.nested_config import within
from kinprint.checkpoints.quantizations._quantization import Config, Rows, Tensors
from kinprint.errors import CheckpointError

FLOATS = ("float32", "float16", "bfloat16")
FP8 = ("float8_e4m3fn", "float8_e5m2")
E8M0 = ("uint8", "float8_e8m0fnu")
"""Powers of two: the exponent plus 127, in one byte; 255 is NaN."""
FP4 = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0], np.float32)
"""Values of the codes of E2M1 (OCP Microscaling Formats, 2023)."""

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT32 = np.dtype(np.float32)


def settings(config: Config) -> Mapping[str, Any]:
    """What the configuration says about quantisation, around or inside the language model; empty where it says nothing."""
    for part in within(config):
        for key in ("quantization_config", "compression_config"):
            found = part.get(key)
            if isinstance(found, Mapping):
                return found
    return {}


def method(config: Config) -> str:
    """The method that the configuration names, in lower case; "" if none. AutoRound packs as GPTQ or AWQ do, if it says so."""
    named = str(settings(config).get("quant_method") or "").lower()
    packing = str(settings(config).get("packing_format") or "").lower()
    if named in ("auto-round", "intel/auto-round"):
        return next((way for way in ("gptq", "awq") if packing.endswith(f"auto_{way}")), named)
    return named


class Parts:
    """The tensors of a model, from which a scheme takes those that it understands.

    Attributes:
        left: the tensors that have not been taken, and the weights that were put in their place.
        source: of the model, for errors.
    """

    def __init__(self, tensors: Tensors, source: object) -> None:
        self.left = dict(tensors)
        self.source = source

    def error(self, name: str, problem: str, remedy: str = "quantise or download the model again") -> CheckpointError:
        return CheckpointError(self.source, f"tensor {name} {problem}", remedy)

    def take(self, name: str, dtypes: Iterable[str], rank: int | None = None) -> Tensor:
        """Remove a tensor and return it.

        Raises:
            CheckpointError: it is missing, empty, or not of such a dtype and rank.
        """
        tensor = self.left.pop(name, None)
        if tensor is None:
            raise CheckpointError(
                self.source, f"tensor {name} is missing, without which its weight means nothing", "complete the checkpoint"
            )
        if tensor.dtype.name not in (known := tuple(dtypes)):
            raise self.error(name, f"holds {tensor.dtype.name} values where {' or '.join(known)} are expected")
        if (rank is not None and len(tensor.shape) != rank) or 0 in tensor.shape:
            raise self.error(
                name, f"has shape {tensor.shape}, expected {rank if rank is not None else 'some'} axes, none empty"
            )
        return tensor

    def perhaps(self, name: str, dtypes: Iterable[str], rank: int | None = None) -> Tensor | None:
        """The same for a tensor that need not be there."""
        return self.take(name, dtypes, rank) if name in self.left else None

    def expect(self, tensor: Tensor, *shapes: tuple[int, ...]) -> None:
        """CheckpointError unless the tensor has one of these shapes."""
        if tensor.shape not in shapes:
            listed = " or ".join(map(str, dict.fromkeys(shapes)))
            raise self.error(tensor.name, f"has shape {tensor.shape}, where the others of its weight ask for {listed}")

    def put(self, tensor: Tensor) -> None:
        """Add a decoded weight; CheckpointError if there is one of that name, which another reader might take instead."""
        if tensor.name in self.left:
            raise self.error(tensor.name, "is there both quantised and as it is", "remove one of them")
        self.left[tensor.name] = tensor

    def finite(self, tensor: Tensor, values: Array) -> Array:
        """The values as float32; CheckpointError if one is NaN or infinite."""
        found = np.asarray(values, np.float32)
        if not np.isfinite(found).all():
            raise self.error(tensor.name, "holds scales that are NaN or infinite")
        return found

    def powers(self, tensor: Tensor, values: Array) -> Array:
        """The powers of two that E8M0 bytes stand for, as float32; CheckpointError for NaN."""
        exponents = values.view(np.uint8).astype(np.int32)
        if (exponents == 255).any():
            raise self.error(tensor.name, "holds scales that are NaN")
        return np.ldexp(np.float32(1), exponents - 127)

    def scale_values(self, tensor: Tensor, values: Array) -> Array:
        """Scales of either kind, as float32."""
        return self.powers(tensor, values) if tensor.dtype.name in E8M0 else self.finite(tensor, values)

    def setting(self, name: str, value: Any, allowed: Callable[[int], bool], meaning: str) -> int:
        """A whole number of the configuration; CheckpointError if it cannot be that."""
        if type(value) is not int or not allowed(value):
            raise CheckpointError(
                self.source, f"its quantization_config gives {name} {value}, not {meaning}",
                "use the configuration that belongs to the weights",
            )  # fmt: skip
        return value


def unpack(packed: Array, bits: int, count: int) -> Array:
    """Codes of `bits` bits that follow each other without gaps, lowest bits first, from whole words.

    Args:
        packed: (rows, words) of any integer dtype, little-endian.
        bits: 1 to 8.
        count: codes in a row; the words hold at least that many.

    Returns:
        (rows, count) uint8.
    """
    stored = np.ascontiguousarray(packed).view(np.uint8)
    codes, bytes_ = 8 // math.gcd(bits, 8), bits // math.gcd(bits, 8)  # that many codes fill that many bytes
    if stored.shape[1] % bytes_:
        stored = np.pad(stored, ((0, 0), (0, -stored.shape[1] % bytes_)))
    groups = stored.reshape(len(stored), -1, bytes_)
    found = np.empty((*groups.shape[:2], codes), np.uint8)
    for index in range(codes):
        byte, shift = divmod(index * bits, 8)
        found[..., index] = groups[..., byte] >> shift
        if shift + bits > 8:
            found[..., index] |= groups[..., byte + 1] << (8 - shift)
    found &= (1 << bits) - 1
    return found.reshape(len(stored), -1)[:, :count]


class Grid(NamedTuple):
    """Numbers that each hold for a block of a matrix.

    Attributes:
        values: (row blocks, column blocks) float32; one of an axis holds for all of it.
        height, width: of a block; the last ones may be cut off.
    """

    values: Callable[[int, int], Array]
    height: int
    width: int

    def rows(self, start: int, stop: int, columns: int) -> Array:
        """The number of each entry of some rows, (stop - start, columns or 1)."""
        first, last = start // self.height, -(-stop // self.height)
        blocks = self.values(first, last)
        mine = blocks[np.arange(start, stop) // self.height - first]
        return mine if self.width >= columns else np.repeat(mine, self.width, axis=1)[:, :columns]


def blocks(length: int, size: int) -> int:
    """How many blocks of a size cover a length."""
    return -(-length // size)


def scaled(codes: Rows, scales: Rows, dtype: np.dtype[Any], zeros: Rows | None = None) -> Rows:
    """(code - zero) * scale in float32, rounded to `dtype` once."""

    def rows(start: int, stop: int) -> Array:
        values = codes(start, stop).astype(np.float32, copy=False)
        if zeros is not None:
            values = values - zeros(start, stop)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is counted as not finite, as in any checkpoint
            return (values * scales(start, stop)).astype(dtype, copy=False)

    return rows


def described(name: str, details: Iterable[str]) -> str:
    """A scheme and how its weights are stored, the most common ways first."""
    ways = [way for way, _ in Counter(details).most_common(3)]
    return f"{name}, {'; '.join(ways)}"


def grouped(size: int, columns: int) -> str:
    """How scales are shared along rows, for people."""
    return f"groups of {size}" if size < columns else "one scale a row"
