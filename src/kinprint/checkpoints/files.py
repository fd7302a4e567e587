"""Files on this disk: regular files only, bounded reads, one clear error, and writing that leaves nothing half-done.

What reads a model's files reads them through a `ByteSource` (`source`), which may lie elsewhere; this module only knows paths.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kinprint.errors import CheckpointError

LEFT_BEHIND = 3600.0
"""Seconds after which a temporary file belongs to a process that was killed; writing one takes seconds."""

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
def open_regular(path: Path, buffered: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for reading; CheckpointError for anything but a regular file (a pipe would block, a device act)."""
    _require_regular(path, mode_of(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with clear_errors(path), open(path, "rb", -1 if buffered else 0, opener=lambda name, _: os.open(name, flags)) as file:
        _require_regular(path, os.fstat(file.fileno()).st_mode)  # it may have been exchanged in between
        yield file


def size_of(path: Path) -> int:
    """Bytes of the regular file `path`; CheckpointError for anything else."""
    _require_regular(path, mode_of(path))
    with clear_errors(path):
        return os.stat(path).st_size


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
    if named := os.environ.get("KINPRINT_CACHE"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("kinprint"))


def file_name(name: str) -> str:
    """A name from a stranger as the name of a file in this folder."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".-")
    return kept.encode()[:100].decode(errors="ignore") or "model"  # bytes: file systems count those


# --- writing


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False, private: bool = False) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` at the end; on any error the old one stays, and nothing else is left.

    A process that is killed leaves its temporary file; the next writer of `path` removes it when it is an hour old.

    Args:
        durable: the bytes are on disk before the file has its name.
        private: only its owner may read it.

    Raises:
        OSError: it cannot be written.
    """
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name[:50]}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600 if private else 0o666)) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder that gets the name `path` at the end, where an empty folder may be; on any error nothing is left of it.

    Raises:
        OSError: it cannot be made, or `path` is in use.
    """
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed writers of this file left behind; a file that another process may be writing stays."""
    with contextlib.suppress(OSError):
        for file in target.parent.glob(f".{glob.escape(target.name[:50])}.{'[0-9a-f]' * 16}.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > LEFT_BEHIND:
                    file.unlink()
