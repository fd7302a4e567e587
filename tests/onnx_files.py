"""Small ONNX files, written field by field: no library is needed for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

KINDS = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10, "float64": 11}


def varint(value: int) -> bytes:
    """A number, seven bits at a time."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, array: np.ndarray, external: Mapping[str, Any] | None = None) -> bytes:
    """A TensorProto: its bytes inside, or what says where they lie."""
    said = b"".join(field(1, n) for n in array.shape) + field(2, KINDS[array.dtype.name]) + field(8, name)
    if external is None:
        return said + field(9, array.tobytes())
    entries = (field(1, key) + field(2, str(value)) for key, value in external.items())
    return said + b"".join(field(13, entry) for entry in entries) + field(14, 1)


def node(kind: str, name: str, *inputs: str) -> bytes:
    """A NodeProto."""
    return b"".join(field(1, each) for each in inputs) + field(2, f"{name}_out") + field(3, name) + field(4, kind)


def model(tensors: Iterable[bytes], nodes: Iterable[bytes] = ()) -> bytes:
    """A ModelProto."""
    graph = b"".join(field(1, each) for each in nodes) + field(2, "graph") + b"".join(field(5, each) for each in tensors)
    return field(1, 9) + field(2, "tests") + field(7, graph) + field(8, field(2, 20))
