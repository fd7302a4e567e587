"""ONNX: the initializers of a model's graph, their bytes in the file itself or in others beside it (external data).

A graph keeps the weight of a linear layer as (input, output) under a name of its own (`onnx::MatMul_123`); the node that
multiplies by it is called after the module (`/model/layers.0/self_attn/q_proj/MatMul`). Such a weight gets the name and the
orientation that it has in PyTorch. Source: onnx.proto3 of the ONNX project.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats._format import Format
from kinprint.checkpoints.formats._protobuf import BYTES, Field, Message
from kinprint.checkpoints.mapped import MAX_NAME, MAX_RANK, MAX_TENSORS, MappedTensor, check_name
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError, printable

Beside = Callable[[str], ByteSource]
"""Name of a file in the same folder -> the file."""

MAX_TEXT = 4096
MAX_LISTED = 1_000_000  # numbers of a tensor that are stored one by one

GRAPH, NODE, INITIALIZER = 7, 1, 5
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    14: np.dtype("<c8"),
    15: np.dtype("<c16"),
    16: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype(ml_dtypes.float8_e4m3fn),
    19: np.dtype(ml_dtypes.float8_e5m2),
}
"""Numbers of TensorProto.DataType."""

QUANTISED = (
    *("MatMulNBits", "MatMulBnb4", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul"),
    *("DequantizeLinear", "GatherBlockQuantized", "QMoE"),
)
"""Operations on codes and scales."""

_ANONYMOUS = re.compile(r"onnx::(MatMul|Gemm)_\d+", re.ASCII)
_MODULE = re.compile(r"/(?P<module>[\w.]+(?:/[\w.]+)*)/(MatMul|Gemm)(_\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedTensor:
    """A small tensor whose numbers a file lists one by one."""

    name: str
    values: NDArray[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def read(self) -> NDArray[Any]:
        return self.values


@dataclass
class _Stored:
    """What a TensorProto says."""

    name: str = ""
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    raw: Field | None = None
    listed: list[Field] = field(default_factory=list)
    external: dict[str, str] = field(default_factory=dict)
    outside: bool = False


def open_file(source: ByteSource) -> dict[str, Tensor]:
    """The tensors of one ONNX file that holds them itself.

    Raises:
        CheckpointError: as `open_beside`, and if the data lie in other files.
    """
    return open_beside(source, None)


def open_beside(source: ByteSource, beside: Beside | None) -> dict[str, Tensor]:
    """The same, external data read from the files of its folder.

    Raises:
        CheckpointError: no ONNX file, damaged, quantised, or with external data that are not there or lie elsewhere.
    """
    with source.open() as file:
        size = os.fstat(file.fileno()).st_size
        message = Message(source, file, size, "ONNX")
        stored, names = _graph(message, size)
        tensors: dict[str, Tensor] = {}
        for one in stored:
            tensor = _tensor(message, one, beside)
            if (module := names.get(one.name)) and isinstance(tensor, MappedTensor) and len(tensor.shape) == 2:
                tensor = _turned(tensor, f"{module}.weight")
            if tensor.name in tensors:
                raise message.damaged(f"two tensors named {tensor.name}")
            check_name(tensor.name, source)
            tensors[tensor.name] = tensor
    if not tensors:
        raise message.damaged("it holds no weights")
    return tensors


def _graph(message: Message, size: int) -> tuple[list[_Stored], dict[str, str]]:
    """The initializers, and for those without a name of their own the module that multiplies by them."""
    stored: list[_Stored] = []
    names: dict[str, str] = {}
    graphs = [f for f in message.fields(0, size) if f.number == GRAPH and f.wire == BYTES]
    if len(graphs) != 1:
        raise message.damaged(f"{len(graphs)} graphs instead of one")
    for part in message.fields(graphs[0].start, graphs[0].stop):
        if part.number == INITIALIZER and part.wire == BYTES:
            if len(stored) >= MAX_TENSORS:
                raise message.damaged(f"more than {MAX_TENSORS:,} tensors")
            stored.append(_stored(message, part))
        elif part.number == NODE and part.wire == BYTES:
            inputs, name, kind = _node(message, part)
            if kind in QUANTISED:
                problem = f"quantised by ONNX Runtime ({kind}), a form that is not read"
                raise CheckpointError(message.source, problem, "use the unquantised original")
            found = _MODULE.fullmatch(name)
            if found and len(inputs) > 1 and _ANONYMOUS.fullmatch(inputs[1]):
                names.setdefault(inputs[1], found["module"].replace("/", "."))
    return stored, names


def _node(message: Message, node: Field) -> tuple[list[str], str, str]:
    """Inputs, name and operation."""
    inputs, name, kind = [], "", ""
    for part in message.fields(node.start, node.stop):
        if part.number == 1:
            inputs.append(message.text(part, MAX_TEXT))
        elif part.number == 3:
            name = message.text(part, MAX_TEXT)
        elif part.number == 4:
            kind = message.text(part, MAX_TEXT)
    return inputs, name, kind


def _stored(message: Message, tensor: Field) -> _Stored:
    found = _Stored()
    for part in message.fields(tensor.start, tensor.stop):
        match part.number:
            case 1:
                found.dims += message.numbers(part, MAX_RANK + 1)
            case 2:
                found.kind = part.value
            case 8:
                found.name = message.text(part, MAX_NAME + 1)
            case 9:
                found.raw = part
            case 4 | 5 | 7 | 10 | 11:
                found.listed.append(part)
            case 13:
                key, value = ("", "")
                for entry in message.fields(part.start, part.stop):
                    key, value = (
                        (message.text(entry, MAX_TEXT), value) if entry.number == 1 else (key, message.text(entry, MAX_TEXT))
                    )
                found.external[key] = value
            case 14:
                found.outside = part.value == 1
    if len(found.dims) > MAX_RANK or any(not 0 <= n < 2**63 for n in found.dims):
        raise message.damaged(f"the shape of tensor {printable(found.name, 100)} is no list of sizes")
    return found


def _tensor(message: Message, one: _Stored, beside: Beside | None) -> Tensor:
    dtype, shape = DTYPES.get(one.kind, np.dtype("u1")), tuple(one.dims)
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > np.iinfo(np.int64).max:
        raise message.damaged(f"the shape of tensor {one.name} is beyond any memory")
    nbytes = math.prod(shape) * dtype.itemsize
    if one.outside:
        source, size, start, length = _outside(message, one, beside)
    elif one.raw is not None and one.raw.wire == BYTES:
        source, size, start, length = message.source, message.size, one.raw.start, one.raw.stop - one.raw.start
    elif len(one.listed) == 1 and one.listed[0].number in (4, 10) and one.listed[0].wire == BYTES:  # numbers as they are
        (only,) = one.listed
        source, size, start, length = message.source, message.size, only.start, only.stop - only.start
        if only.number != {1: 4, 11: 10}.get(one.kind):
            raise message.damaged(f"tensor {one.name} holds numbers of another type than it says")
    else:
        return _listed(message, one, dtype, shape)
    if one.kind not in DTYPES:  # a type of less than a byte, or a new one: its bytes as they are
        shape, nbytes = (length,), length
    if nbytes != length:
        raise message.damaged(f"tensor {one.name} takes {length:,} bytes, not what its shape and type say")
    return MappedTensor(one.name, dtype, shape, source, size, start)


def _listed(message: Message, one: _Stored, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Tensor:
    numbers = [number for part in one.listed for number in message.numbers(part, MAX_LISTED)]
    if len(numbers) != math.prod(shape) or one.kind not in DTYPES or dtype.kind in "fcV" or len(numbers) > MAX_LISTED:
        raise message.damaged(f"tensor {one.name} does not hold what its shape and type say")
    values = np.array(numbers, np.int64).astype(dtype).reshape(shape)
    values.flags.writeable = False
    return ListedTensor(one.name, values)


def _outside(message: Message, one: _Stored, beside: Beside | None) -> tuple[ByteSource, int, int, int]:
    """The file of external data, its size, and where the tensor begins in it and how long it is."""
    location = one.external.get("location", "")
    path = PurePosixPath(location)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in location or PureWindowsPath(location).drive:
        problem = f"keeps tensor {printable(one.name, 80)} in a file outside its folder: {printable(location, 80)}"
        raise CheckpointError(message.source, problem, "do not trust this checkpoint")
    if beside is None:
        raise CheckpointError(message.source, f"keeps its weights in {printable(location, 80)}", "give the folder of both")
    source = beside(location)
    size = source.size
    offset, length = (_count(message, one.external.get(key, other)) for key, other in (("offset", "0"), ("length", "-")))
    start = offset or 0
    length = size - start if length is None else length
    if start > size or length < 0 or start + length > size:
        raise CheckpointError(source, f"too short for tensor {printable(one.name, 80)}", "download it again")
    return source, size, start, length


def _count(message: Message, text: str) -> int | None:
    if text == "-":
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise message.damaged("external data whose place is no number")
    return int(text)


def _turned(tensor: MappedTensor, name: str) -> MappedTensor:
    """A matrix of (input, output) as (output, input), as it lies in the file."""
    rows, columns = tensor.shape
    size = tensor.dtype.itemsize
    return replace(tensor, name=name, shape=(columns, rows), strides=(size, columns * size))


def _begins(start: bytes) -> bool:
    """The version of the format as the first field, and then the name of the writer, or of another field of a model."""
    return len(start) > 3 and start[0] == 8 and 1 <= start[1] < 64 and start[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)


FORMAT = Format("ONNX", (".onnx",), open_file, stem="model", rank=90, begins=_begins, open_beside=open_beside)
