"""safetensors: eight bytes of length, a JSON header, the data.

Read here rather than through the library of that name because we map tensors one by one, and because a header is
untrusted: this reader refuses everything the specification does not allow.
"""

from __future__ import annotations

import math
import os
import re
import struct
from typing import Any

import ml_dtypes
import numpy as np

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats._format import Format
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.mapped import MAX_RANK, MAX_TENSORS, MappedTensor, check_name
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

MAX_HEADER = 100_000_000  # of the specification

_TYPE = re.compile(r"(BOOL|[CFIUB]F?(?P<bits>[0-9]{1,3})(_E[0-9]M[0-9]\w{0,8})?)", re.ASCII)
"""Names of types, also of those to come: a letter and the number of bits."""

DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "C64": np.dtype("<c8"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


def open_file(source: ByteSource) -> dict[str, Tensor]:
    """The tensors of one safetensors file, by name; CheckpointError for anything the specification forbids."""
    header, start, size = _read_header(source)
    _words(source, header)
    if len(header) > MAX_TENSORS:
        raise _damaged(source, f"{len(header):,} tensors in one file, more than the {MAX_TENSORS:,} allowed")
    spans = {name: _check_entry(source, name, entry) for name, entry in header.items()}
    _check_cover(source, spans, size - start)
    return {name: _tensor(source, name, entry, spans[name], start, size) for name, entry in header.items()}


def says(source: ByteSource) -> dict[str, str]:
    """The words of `__metadata__`; CheckpointError as `open_file`."""
    header, _, _ = _read_header(source)
    return _words(source, header)


def _words(source: ByteSource, header: dict[str, Any]) -> dict[str, str]:
    """`__metadata__`, taken out of the header."""
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _damaged(source, "__metadata__ is not a table of strings")
    return metadata


def _tensor(source: ByteSource, name: str, entry: dict[str, Any], span: tuple[int, int], start: int, size: int) -> MappedTensor:
    """A tensor; of a type that is not known its bytes as they are, which is no fault where it has no role."""
    known = DTYPES.get(entry["dtype"])
    shape = (span[1] - span[0],) if known is None else tuple(entry["shape"])
    dtype = np.dtype(np.uint8, metadata={"stored": entry["dtype"]}) if known is None else known
    return MappedTensor(name, dtype, shape, source, size, start + span[0])


def _begins(start: bytes) -> bool:
    """The length of a header, and a JSON object."""
    return len(start) > 8 and int.from_bytes(start[:8], "little") <= MAX_HEADER and start[8:9] == b"{"


def _read_header(source: ByteSource) -> tuple[dict[str, Any], int, int]:
    """The parsed header, where the data starts, and the size of the file."""
    with source.open() as file:
        size = os.fstat(file.fileno()).st_size
        prefix = file.read(8)
        if len(prefix) < 8:
            raise _damaged(source, f"only {size} bytes long")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER:
            raise _damaged(source, f"a header of {length:,} bytes, more than the {MAX_HEADER:,} allowed")
        if length > size - 8:
            raise _damaged(source, f"a header of {length:,} bytes in a file of {size:,}")
        text = file.read(length)
    if not text.startswith(b"{") or len(text) < length:
        raise _damaged(source, "no JSON object at its start")
    return parse_object(text, source, strict=True), 8 + length, size


def _check_entry(source: ByteSource, name: str, entry: Any) -> tuple[int, int]:
    """Where the tensor begins and ends in the data, once everything about its entry is in order."""
    check_name(name, source)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _damaged(source, f"the entry of tensor {name} does not have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    named = _TYPE.fullmatch(dtype) if isinstance(dtype, str) else None
    if named is None:
        raise CheckpointError(source, f"tensor {name} has the unknown dtype {dtype}", f"known are {', '.join(DTYPES)}")
    if not _is_counts(shape) or len(shape) > MAX_RANK:
        raise _damaged(source, f"the shape of tensor {name} is not a list of at most {MAX_RANK} sizes")
    if not _is_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _damaged(source, f"the data_offsets of tensor {name} are not a begin and an end")
    bits = DTYPES[dtype].itemsize * 8 if dtype in DTYPES else int(named["bits"])
    # numpy multiplies the non-zero sizes even of an empty array
    if math.prod(max(n, 1) for n in shape) * bits > 8 * np.iinfo(np.int64).max:
        raise _damaged(source, f"the shape of tensor {name} is beyond any memory")
    if math.prod(shape) * bits != 8 * (offsets[1] - offsets[0]):
        raise _damaged(source, f"tensor {name} takes {offsets[1] - offsets[0]:,} bytes, not what its shape and dtype say")
    return offsets[0], offsets[1]


def _is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_cover(source: ByteSource, spans: dict[str, tuple[int, int]], length: int) -> None:
    """The tensors must tile the data exactly: neither holes, where something could hide, nor overlaps."""
    position = 0
    for name, (begin, end) in sorted(spans.items(), key=lambda item: item[1]):
        if begin != position:
            raise _damaged(source, f"tensor {name} begins at {begin:,}, where the one before ends at {position:,}")
        position = end
    if position > length:
        raise CheckpointError(source, f"truncated: {length:,} of {position:,} bytes of data", "download it again")
    if position < length:
        raise _damaged(source, f"{length - position:,} bytes after the last tensor")


def _damaged(source: ByteSource, problem: str) -> CheckpointError:
    return CheckpointError(source, f"not a valid safetensors file: {problem}", "download or write the file again")


FORMAT = Format("safetensors", (".safetensors",), open_file, stem="model", rank=0, begins=_begins, says=says)
