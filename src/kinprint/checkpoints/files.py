"""Opening files that somebody else may have made: regular files only, bounded reads, one clear error."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kinprint.errors import CheckpointError

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
    with clear_errors(path), open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        _require_regular(path, os.fstat(file.fileno()).st_mode)  # it may have been exchanged in between
        yield file


def read_bounded(path: Path, limit: int) -> bytes:
    """All bytes of the regular file `path`; CheckpointError if there are more than `limit`."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CheckpointError(path, f"larger than the {limit:,} bytes allowed for such a file", "check that it is one")
    return data


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise CheckpointError(path, "a folder where a file is expected", "give the file")
    if not stat.S_ISREG(mode):
        raise CheckpointError(path, "not a regular file", "give a file on disk, not a pipe, socket or device")
