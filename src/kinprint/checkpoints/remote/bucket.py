"""Folders on the file systems of fsspec (s3://, gs://, ...), each with the package and the credentials that it needs."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from kinprint.checkpoints.remote.folder import RemoteFolder, cache_root, explained
from kinprint.checkpoints.remote.http import TRIES, pause
from kinprint.checkpoints.remote.pieces import PIECE
from kinprint.checkpoints.remote.sparse import RemoteFile
from kinprint.errors import ChangedError, CheckpointError

_STATES = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "updated", "created")
"""What file systems call what tells one content from the next, the surest first."""

_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)


def open_bucket(url: str, shown: str, name: str, only: str) -> RemoteFolder:
    """The folder `url`, or the one that holds the file `only`.

    Args:
        url: what fsspec opens.
        shown: what to call it in messages.
        name: short, for people.
        only: the name of the file that `url` ends with, or "".

    Raises:
        CheckpointError: its file system is unknown, its package is missing, or it cannot be listed.
    """
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(url)
        root = path.rstrip("/").rpartition("/")[0] if only else path.rstrip("/")
        listed = [] if only else system.ls(root, detail=True)
    except Exception as error:  # each has its own
        raise _explain(shown, error) from error

    listing = {entry["name"].rpartition("/")[2] for entry in listed if entry["type"] == "file"}

    def there(names: Iterable[str]) -> set[str]:
        return {name for name in names if name in listing or ((only or "/" in name) and system.isfile(f"{root}/{name}"))}

    def file(name: str) -> RemoteFile:
        return _remote(system, f"{root}/{name}", shown if only == name else f"{shown.rstrip('/')}/{name}")

    place = cache_root(name, f"fsspec {url}")
    return RemoteFolder(shown, place, there, file, None if only else listing, only)


def _remote(system: Any, path: str, shown: str) -> RemoteFile:
    try:
        size, state = _look(system, path)
    except Exception as error:
        raise _explain(shown, error) from error

    def read(start: int, stop: int) -> Generator[tuple[int, bytes], None, None]:
        for first in range(start, stop, PIECE):
            last = min(first + PIECE, stop)
            data = _patiently(system, path, first, last)
            if len(data) != last - first or _look(system, path) != (size, state):
                raise ChangedError("changed while it was being read")
            yield first, data

    return explained(RemoteFile(shown, size, state and f"{state} {size}", read), lambda error: _explain(shown, error))


def _look(system: Any, path: str) -> tuple[int, str]:
    """Size and state of a file as it is now."""
    system.invalidate_cache()
    info = system.info(path)
    return int(info["size"]), next((f"{key} {info[key]}" for key in _STATES if info.get(key)), "")


def _patiently(system: Any, path: str, start: int, stop: int) -> bytes:
    """A range, tried again where it may come later."""
    for failures in range(1, TRIES):
        try:
            return bytes(system.cat_file(path, start=start, end=stop))
        except _LASTING:
            raise
        except (OSError, TimeoutError):
            pause(failures)
    return bytes(system.cat_file(path, start=start, end=stop))


def _explain(shown: str, error: Exception) -> CheckpointError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:150]
    if isinstance(error, ChangedError):
        return CheckpointError(shown, str(error), "try again")
    if isinstance(error, ImportError):
        return CheckpointError(shown, f"needs a package that is not installed ({error})", "install it with pip")
    if isinstance(error, ValueError):
        return CheckpointError(shown, f"not a URL that can be opened ({reason})", "give https://, s3://, gs:// or a path")
    if isinstance(error, FileNotFoundError):
        return CheckpointError(shown, "no such file or folder", "check the address")
    if isinstance(error, PermissionError):
        return CheckpointError(shown, f"access denied ({reason})", "set the credentials that may read it")
    return CheckpointError(shown, f"cannot be read ({reason})", "check the network and your credentials, and try again")
