"""The header of a GGUF file: metadata and where the tensors lie, read as data from a stranger.

    "GGUF", version, number of tensors, number of keys; for each key its name, type and value; for each tensor its name,
    sizes (the fastest axis first), type and offset; padding; the tensors.

Strings and arrays begin with their length, so every length is checked against the file before anything is read.
Source: the specification of GGUF (docs/gguf.md of the ggml project), versions 2 and 3.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from kinprint.checkpoints.mapped import MAX_TENSORS, check_name
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

MAX_HEADER = 100_000_000
MAX_KEYS = 10_000
MAX_KEY = 65_535  # bytes, of the specification
MAX_ITEMS = 4_000_000  # strings in arrays
MAX_NESTING = 4  # of arrays; no known writer nests them
MAX_NESTED = 10_000  # arrays within arrays
MAX_AXES = 4  # of ggml
FIRST_READ = 1 << 20

_NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8"}
_BOOL, _STRING, _ARRAY = 7, 8, 9


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: its shape with the slowest axis first, ggml's number for its type, its offset in the data."""

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Header:
    """What stands in front of the data.

    Attributes:
        metadata: key -> number, bool or bytes (a string); or the array of them, numbers as a numpy array.
        tensors: by name.
        length: bytes up to the padding in front of the data.
        size: of the file.
    """

    metadata: dict[str, Any]
    tensors: dict[str, Entry]
    length: int
    size: int


def read_header(source: ByteSource) -> Header:
    """The header of the GGUF file at `source`.

    Raises:
        CheckpointError: no GGUF file, of a version or byte order that is not read, damaged, or beyond the limits above.
    """
    with source.open() as file:
        size = os.fstat(file.fileno()).st_size
        window = min(FIRST_READ, size)
        while True:  # nothing says how long the header is: read a little, and more when it turns out to be longer
            file.seek(0)
            data = file.read(window)
            if len(data) < window:
                raise damaged(source, "it ends early")
            found = _parsed(data, source, size)
            if isinstance(found, Header):
                return found
            if found > size:
                raise damaged(source, f"its header reaches beyond the end of the file ({size:,} bytes)")
            if found > MAX_HEADER:
                raise damaged(source, f"a header of more than the {MAX_HEADER:,} bytes allowed")
            window = min(max(found, 4 * window), size, MAX_HEADER)


def damaged(source: ByteSource, problem: str) -> CheckpointError:
    return CheckpointError(source, f"not a valid GGUF file: {problem}", "download or write the file again")


class _MoreNeededError(Exception):
    """The header goes on behind what was read, at least up to `end`."""

    def __init__(self, end: int) -> None:
        self.end = end


class _Cursor:
    """Reads on from a place in the beginning of the file."""

    def __init__(self, data: bytes, source: ByteSource) -> None:
        self.data, self.source, self.at, self.items, self.nested = data, source, 0, 0, 0

    def take(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise _MoreNeededError(self.at)
        return self.data[start : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def text(self, limit: int, what: str) -> str:
        length = self.number("Q")
        if length > limit:
            raise damaged(self.source, f"{what} of {length:,} bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise damaged(self.source, f"{what} that is not valid UTF-8") from None

    def value(self, kind: int, depth: int = 0) -> Any:
        """A metadata value of type `kind`."""
        if kind in _NUMBERS:
            return self.numbers(kind, 1)[0].item()
        if kind == _BOOL:
            return self.take(1) != b"\0"
        if kind == _STRING:
            return self.take(self.number("Q"))
        if kind == _ARRAY:
            return self.array(depth + 1)
        raise damaged(self.source, f"a metadata value of the unknown type {kind}")

    def numbers(self, kind: int, count: int) -> Any:
        dtype = np.dtype(_NUMBERS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def array(self, depth: int) -> Any:
        kind, count = self.number("I"), self.number("Q")
        if depth > MAX_NESTING:
            raise damaged(self.source, "arrays nested too deeply")
        if kind in _NUMBERS:
            return self.numbers(kind, count)
        if kind == _BOOL:
            return np.frombuffer(self.take(count), np.uint8) != 0
        if kind == _STRING:
            self.items += count
            if self.items > MAX_ITEMS:
                raise damaged(self.source, f"more than {MAX_ITEMS:,} strings in its arrays")
            return self.strings(count)
        self.nested += count
        if self.nested > MAX_NESTED:
            raise damaged(self.source, f"more than {MAX_NESTED:,} arrays within arrays")
        return [self.value(kind, depth) for _ in range(count)]

    def strings(self, count: int) -> list[bytes]:
        """As `take` of `number` for each, in a loop that is short because vocabularies are long."""
        data, at, end, found = self.data, self.at, len(self.data), []
        if at + 8 * count > end:
            raise _MoreNeededError(at + 8 * count)
        for _ in range(count):
            start = at + 8
            at = start + int.from_bytes(data[at:start], "little")
            if at > end or start > end:
                raise _MoreNeededError(max(at, start))
            found.append(data[start:at])
        self.at = at
        return found


@lru_cache(maxsize=2)
def _parsed(data: bytes, source: ByteSource, size: int) -> Header | int:
    """The header, or up to where more has to be read.

    A file is opened for its tensors, and again for what it says of the model: the bytes are the same, and a vocabulary takes
    long.
    """
    try:
        return _parse(data, source, size)
    except _MoreNeededError as more:
        return more.end


def _parse(data: bytes, source: ByteSource, size: int) -> Header:
    cursor = _Cursor(data, source)
    if data[:4] != b"GGUF":
        raise damaged(source, "it does not begin with GGUF")
    cursor.at = 4
    version = cursor.number("I")
    if version in (2 << 24, 3 << 24):
        raise CheckpointError(source, "a big-endian GGUF file, which is not read", "convert it to little-endian")
    if version not in (2, 3):
        raise CheckpointError(source, f"GGUF of version {version}; 2 and 3 are read", "convert the model again")
    count, keys = cursor.number("Q"), cursor.number("Q")
    if count > MAX_TENSORS:
        raise damaged(source, f"{count:,} tensors, more than the {MAX_TENSORS:,} allowed")
    if keys > MAX_KEYS:
        raise damaged(source, f"{keys:,} metadata keys, more than the {MAX_KEYS:,} allowed")
    metadata = _table(
        cursor, keys, lambda: cursor.text(MAX_KEY, "a metadata key"), lambda: cursor.value(cursor.number("I")), "metadata key"
    )
    tensors = _table(cursor, count, lambda: _tensor_name(cursor), lambda: _entry(cursor), "tensor")
    return Header(metadata, tensors, cursor.at, size)


def _table(cursor: _Cursor, count: int, key: Callable[[], str], value: Callable[[], Any], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(count):
        name = key()
        if name in found:
            raise damaged(cursor.source, f"the {what} {name} appears twice")
        found[name] = value()
    return found


def _tensor_name(cursor: _Cursor) -> str:
    name = cursor.text(MAX_KEY, "a tensor name")
    check_name(name, cursor.source)
    return name


def _entry(cursor: _Cursor) -> Entry:
    axes = cursor.number("I")
    if axes > MAX_AXES:
        raise damaged(cursor.source, f"a tensor of {axes:,} axes, more than the {MAX_AXES} allowed")
    sizes = struct.unpack(f"<{axes}Q", cursor.take(8 * axes))
    return Entry(sizes[::-1], cursor.number("I"), cursor.number("Q"))
