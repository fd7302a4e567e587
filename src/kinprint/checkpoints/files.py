"""Opening files that somebody else may have made: regular files only, bounded reads, one clear error.

A file may be the local copy of one that lies elsewhere, with only some of its bytes on disk yet (`announce`). What is read
through `open_regular` is there when it is read; what is mapped has to be asked for first (`present`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, cast

import platformdirs

from kinprint.errors import CheckpointError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Span = tuple[int, int]
"""Bytes of a file: the first, and the one after the last."""

AHEAD, MOST_AHEAD = 1 << 16, 1 << 23
"""Bytes asked for at a time where a partial file is read in small steps: more and more while the steps follow each other."""

_REASONS = {
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.ENOTDIR: ("no such file or folder", "check the path"),
    errno.EACCES: ("permission denied", "give yourself the right to read it"),
    errno.EPERM: ("permission denied", "give yourself the right to read it"),
    errno.ELOOP: ("a loop of symbolic links", "replace the link by the file"),
    errno.ENAMETOOLONG: ("the name is too long for this system", "check the path"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n)"),
}


@contextlib.contextmanager
def clear_errors(path: str | Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into a CheckpointError."""
    try:
        yield
    except OSError as error:
        problem, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error) or "cannot be read", ""))
        raise CheckpointError(path, problem, remedy) from error


def mode_of(path: str | Path) -> int:
    """The mode bits of what `path` names, links followed; CheckpointError where there is nothing to examine."""
    with clear_errors(path):
        try:
            return os.stat(path).st_mode
        except ValueError as error:  # a NUL or a lone surrogate in the name
            raise CheckpointError(path, "not a valid path", "check the path") from error


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """`path` opened for reading; CheckpointError for anything but a regular file (a pipe would block, a device act)."""
    _require_regular(path, mode_of(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    partial = _partial.get(str(path))
    buffered = -1 if partial is None else 0
    with clear_errors(path), open(path, "rb", buffered, opener=lambda name, _: os.open(name, flags)) as file:
        _require_regular(path, os.fstat(file.fileno()).st_mode)  # it may have been exchanged in between
        yield file if partial is None else cast(BinaryIO, io.BufferedReader(_Reader(file, partial)))


def read_bounded(path: Path, limit: int) -> bytes:
    """All bytes of the regular file `path`; CheckpointError if there are more than `limit`."""
    with open_regular(path) as file:
        # its size first, so that nothing of a file that is too large is fetched; then what it really holds
        if os.fstat(file.fileno()).st_size <= limit and len(data := file.read(limit + 1)) <= limit:
            return data
    raise CheckpointError(path, f"larger than the {limit:,} bytes allowed for such a file", "check that it is one")


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise CheckpointError(path, "a folder where a file is expected", "give the file")
    if not stat.S_ISREG(mode):
        raise CheckpointError(path, "not a regular file", "give a file on disk, not a pipe, socket or device")


def cache_folder() -> Path:
    """$KINPRINT_CACHE, or the platform's cache folder."""
    return Path(os.environ.get("KINPRINT_CACHE") or platformdirs.user_cache_dir("kinprint"))


# --- files of which only some bytes are on disk yet


class Partial(Protocol):
    """What brings the bytes of such a file onto the disk."""

    @property
    def version(self) -> str:
        """What tells this content from any other under the same name."""
        ...

    def ensure(self, descriptor: int, *spans: Span) -> None:
        """Return when `spans` of the open file `descriptor` are on disk; CheckpointError if they cannot be."""
        ...


_partial: dict[str, Partial] = {}


def announce(path: Path, partial: Partial | None) -> None:
    """From now on `path` is such a file, or with None an ordinary one."""
    if partial is None:
        _partial.pop(str(path), None)
    else:
        _partial[str(path)] = partial


def partial_of(path: Path) -> Partial | None:
    """What was announced for `path`; None for ordinary files."""
    return _partial.get(str(path))


def present(file: BinaryIO, *spans: Span) -> None:
    """Return when `spans` of what `open_regular` gave are on disk; in ordinary files they are.

    Raises:
        CheckpointError: they cannot be fetched, or are no longer those of the file that was opened.
    """
    reader = getattr(file, "raw", None)
    if isinstance(reader, _Reader):
        reader.partial.ensure(file.fileno(), *spans)


class _Reader(io.RawIOBase):
    """Reads a partial file after bringing its bytes."""

    def __init__(self, file: IO[bytes], partial: Partial) -> None:
        self.file, self.partial = file, partial  # unbuffered: a buffer would hold bytes from before they came
        self.size = os.fstat(file.fileno()).st_size
        self.ahead, self.end = AHEAD, -1

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        start = self.file.tell()
        stop = min(start + len(view), self.size)
        if stop > start:
            self.ahead = min(2 * self.ahead, MOST_AHEAD) if start == self.end else AHEAD
            self.partial.ensure(self.file.fileno(), (start, min(max(stop, start + self.ahead), self.size)))
        data = self.file.read(max(stop - start, 0))
        view[: len(data)] = data
        self.end = start + len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def fileno(self) -> int:
        return self.file.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def file_name(name: str) -> str:
    """A name from a stranger as the name of a file in this folder."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".-")
    return kept.encode()[:100].decode(errors="ignore") or "model"  # bytes: file systems count those
