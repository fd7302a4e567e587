"""A local copy with holes, and the record beside it of what is in it; several processes may share both.

A span is written into the record after its bytes are on disk: whatever ends a process, what the record says is there, and the
next process fetches the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from kinprint.checkpoints.files import clear_errors, replacing
from kinprint.checkpoints.source import Span
from kinprint.errors import CheckpointError, KinprintError

_FORMAT = 1


class Record:
    """A copy of the full size, a sparse file, and what of it is there.

    Attributes:
        copy: where the bytes are.
    """

    def __init__(self, copy: Path, path: Path, *, subject: str, size: int, version: str) -> None:
        """Go on with what is there of this version, else begin anew.

        Args:
            copy: the file of the bytes.
            path: of the record.
            subject: what messages call the file.
            size: in bytes.
            version: tells this content from any other; with "" nothing that is there is used.

        Raises:
            CheckpointError: they cannot be written.
        """
        from filelock import FileLock  # with all of asyncio: only what lies elsewhere needs it

        self.copy, self._path, self._subject, self._size, self._version = copy, path, subject, size, version
        self._read_to = 0
        with storing(subject):
            copy.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"):
                self._head = self._usable() or self._create()
                status = os.stat(copy)
        self._inode = status.st_dev, status.st_ino

    def _usable(self) -> bytes:
        """The first line of the record, if it and the copy are of this version; else nothing."""
        try:
            with open(self._path, "rb") as file:
                head = file.readline(10_000)
            written = json.loads(head)
            size = os.lstat(self.copy).st_size if not self.copy.is_symlink() else -1
        except (OSError, ValueError, RecursionError):
            return b""
        expected = {"kinprint": _FORMAT, "version": self._version, "size": self._size}
        same = isinstance(written, dict) and expected.items() <= written.items() and bool(self._version)
        return head if same and size == self._size and head.endswith(b"\n") else b""

    def _create(self) -> bytes:
        """An empty copy and an empty record, each moved into place; the record last, so that it never speaks of another."""
        content = {"kinprint": _FORMAT, "version": self._version, "size": self._size, "id": os.urandom(8).hex()}
        head = json.dumps(content).encode() + b"\n"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        with replacing(self.copy, private=True) as file:
            file.truncate(self._size)
        with replacing(self._path, private=True) as file:
            file.write(head)
        return head

    def news(self) -> list[Span]:
        """What this and other processes have recorded since the last look.

        Raises:
            CheckpointError: the record cannot be read, or is of another copy now.
        """
        with clear_errors(self._subject), open(self._path, "rb") as file:
            if file.read(len(self._head)) != self._head:
                raise self._replaced()
            file.seek(max(self._read_to, len(self._head)))
            text = file.read()
        complete = text.rfind(b"\n") + 1
        self._read_to = max(self._read_to, len(self._head)) + complete
        spans = (_parse(line) for line in text[:complete].split(b"\n"))
        return [span for span in spans if span and span[0] < span[1] <= self._size]

    @contextlib.contextmanager
    def writing(self) -> Iterator[FileIO]:
        """The copy, opened for `write`.

        Raises:
            CheckpointError: it cannot be opened or written to, or was replaced.
        """
        with storing(self._subject), open(self.copy, "r+b", buffering=0) as file:
            self.check(file.fileno())
            yield file

    def write(self, file: FileIO, offset: int, chunk: bytes) -> None:
        """Write bytes into the copy; CheckpointError if they reach beyond its end."""
        if offset + len(chunk) > self._size:
            raise CheckpointError(self._subject, "is larger than was said, and so has changed", "try again")
        file.seek(offset)
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]

    def note(self, file: FileIO, start: int, stop: int) -> None:
        """Record a span whose bytes were written to `file`, once they are on disk.

        Raises:
            CheckpointError: the record is of another copy now.
        """
        os.fsync(file.fileno())
        with open(self._path, "a+b", buffering=0) as record:
            record.seek(0)
            if record.read(len(self._head)) != self._head:
                raise self._replaced()
            record.write(_line(start, stop))  # behind all others, whoever writes: in one piece, as it is so short

    def check(self, descriptor: int) -> None:
        """Raise CheckpointError unless a file that is open is this copy."""
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._inode:
            raise self._replaced()

    def _replaced(self) -> CheckpointError:
        return CheckpointError(self._subject, "its local copy was replaced while it was being read", "try again")


@contextlib.contextmanager
def storing(subject: object) -> Iterator[None]:
    """Turn what the operating system says about writing the copy of `subject` into a CheckpointError."""
    try:
        yield
    except KinprintError:
        raise
    except OSError as error:
        remedy = "make room, or set KINPRINT_CACHE to a folder that can be written"
        raise CheckpointError(subject, f"cannot be stored ({error.strerror or error})", remedy) from error


def _line(start: int, stop: int) -> bytes:
    """A line of the record. It begins with a line break too, so that one cut off by a power failure spoils no other."""
    text = f"{start} {stop}".encode()
    return b"\n%b %08x\n" % (text, zlib.crc32(text))


def _parse(line: bytes) -> Span | None:
    text, _, check = line.rpartition(b" ")
    if b"%08x" % zlib.crc32(text) != check:
        return None
    start, stop = text.split(b" ")
    return int(start), int(stop)
