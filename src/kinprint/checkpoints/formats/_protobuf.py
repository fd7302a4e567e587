"""The wire format of Protocol Buffers, read field by field from a file of a stranger, without loading what is skipped.

Source: the encoding guide of Protocol Buffers. Groups (wire types 3 and 4) are old and refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

WINDOW = 1 << 16
MAX_FIELDS = 20_000_000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message: its number and wire type, the number that it holds, or where its bytes lie in the file."""

    number: int
    wire: int
    value: int
    start: int
    stop: int


class Message:
    """Reads messages of one file. Whatever is wrong is a CheckpointError, which calls the file `what`."""

    def __init__(self, source: ByteSource, file: BinaryIO, size: int, what: str) -> None:
        self.source, self.file, self.size, self.what = source, file, size, what
        self._first, self._data, self._left = 0, b"", MAX_FIELDS

    def fields(self, start: int, stop: int) -> Iterator[Field]:
        """The fields of the message at these bytes, in order."""
        at = start
        while at < stop:
            self._left -= 1
            if self._left < 0:
                raise self.damaged(f"more than {MAX_FIELDS:,} fields")
            tag, at = self._varint(at, stop)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, at = self._varint(at, stop)
                yield Field(number, wire, value, at, at)
                continue
            length, first = {FIXED64: 8, FIXED32: 4}.get(wire), at
            if wire == BYTES:
                length, first = self._varint(at, stop)
            if length is None or not number:
                raise self.damaged(f"a field of the unknown kind {wire}")
            if first + length > stop:
                raise self.damaged("a field that reaches beyond its message")
            at = first + length
            yield Field(number, wire, 0, first, at)

    def bytes_of(self, field: Field, limit: int) -> bytes:
        """The bytes of a field of wire type 2."""
        if field.wire != BYTES or field.stop - field.start > limit:
            raise self.damaged(f"a field of {field.stop - field.start:,} bytes where {limit:,} are allowed")
        return self._read(field.start, field.stop)

    def text(self, field: Field, limit: int) -> str:
        try:
            return self.bytes_of(field, limit).decode("utf-8")
        except UnicodeDecodeError:
            raise self.damaged("a text that is not valid UTF-8") from None

    def numbers(self, field: Field, limit: int) -> list[int]:
        """Whole numbers, one or many in a row (packed), as int64."""
        if field.wire == VARINT:
            return [_signed(field.value)]
        if field.wire != BYTES or field.stop - field.start > 10 * limit:
            raise self.damaged("a list of numbers that is too long")
        found, at = [], field.start
        while at < field.stop:
            value, at = self._varint(at, field.stop)
            found.append(_signed(value))
        return found

    def damaged(self, problem: str) -> CheckpointError:
        return CheckpointError(self.source, f"not a valid {self.what} file: {problem}", "download or write the file again")

    def _varint(self, at: int, stop: int) -> tuple[int, int]:
        data = self._read(at, min(at + 10, stop))
        value = 0
        for index, byte in enumerate(data):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & (2**64 - 1), at + index + 1
        raise self.damaged("a number that does not end")

    def _read(self, start: int, stop: int) -> bytes:
        if not self._first <= start <= stop <= self._first + len(self._data):
            self.file.seek(start)
            self._first, self._data = start, self.file.read(min(max(stop - start, WINDOW), self.size - start))
            if start + len(self._data) < stop:
                raise self.damaged("it ends early")
        return self._data[start - self._first : stop - self._first]


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
