"""Models behind a URL: a folder or a file on a web server, in a bucket, or on any other file system that fsspec knows.

A web server cannot say what is in a folder: the names that models have by custom are tried. What an URL holds besides the
address, a password or a signature, is used and never shown.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from kinprint.checkpoints.folders import Location, local
from kinprint.checkpoints.formats import format_of
from kinprint.checkpoints.remote.bucket import open_bucket
from kinprint.checkpoints.remote.folder import RemoteFolder, cache_root, explained
from kinprint.checkpoints.remote.http import WebFile
from kinprint.checkpoints.remote.sparse import RemoteFile
from kinprint.checkpoints.weight_choice import is_index
from kinprint.errors import CheckpointError, WebError

AT_ONCE = 8
"""Names that are looked up at the same time."""

_NOT_THERE = (401, 403, 404, 410)
"""Answers to a name that may not be there: storage that must not be listed says "denied" for those that are not."""


def locate(url: str, *, offline: bool = False) -> Location:
    """The model at `url`, a folder or a file whose bytes are fetched as they are read.

    Raises:
        CheckpointError: not there, not allowed, of a kind that needs a package, or `offline`, unless it is on this disk.
    """
    parts = urlsplit(url)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    path = unquote(parts.path).rstrip("/")
    name = path.rpartition("/")[2] or parts.netloc.rpartition("@")[2] or url
    if parts.scheme.lower() == "file":
        from urllib.request import url2pathname  # with all of http and ssl

        return replace(local(Path(url2pathname(parts.path)), shown), name=name)
    if offline:
        raise CheckpointError(shown, "offline, and a URL needs the network", "give a folder or a file")
    only = name if format_of(name) is not None or is_index(name) else ""
    if parts.scheme.lower() in ("http", "https"):
        folder = _WebPlace(url, shown, only).folder(name)
    else:
        folder = open_bucket(url, shown, name, only)
    return Location(name, shown, folder, only)


class _WebPlace:
    """What a web server holds next to each other."""

    def __init__(self, url: str, shown: str, only: str) -> None:
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        host = parts.netloc.rpartition("@")[2]
        self.root = urlunsplit((parts.scheme, host, path.rpartition("/")[0] if only else path, "", ""))
        self.shown, self.only, self.query = shown, only, parts.query
        self.headers = {"User-Agent": "kinprint", **_credentials(parts.username, parts.password)}
        self.files: dict[str, WebFile | None] = {}
        self.versions: dict[str, str] = {}
        self.denied = 0

    def folder(self, name: str) -> RemoteFolder:
        """It, called `name`; CheckpointError if the one file that is meant is not there."""
        if self.only and not self.there([self.only]):
            problem = f"the server denies access (HTTP {self.denied})" if self.denied else "no such file on the server"
            raise CheckpointError(self.shown, problem, "check the address and your right to read it")
        place = cache_root(name, f"web {self.root} {self.only}")
        return RemoteFolder(self.shown, place, self.there, self.file, only=self.only)

    def there(self, names: Iterable[str]) -> set[str]:
        """Ask for all that are not known yet, a few at a time."""
        names = set(names)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._look, sorted(names - self.files.keys())))
        return {name for name in names if self.files[name] is not None}

    def file(self, name: str) -> RemoteFile:
        self.there([name])
        file = self.files[name]
        if file is None:
            raise CheckpointError(self._shown(name), "no such file on the server", "check the address")
        remote = RemoteFile(self._shown(name), file.size or 0, self.versions[name], file.read)
        return explained(remote, lambda error: self._explain(name, error))

    def _look(self, name: str) -> None:
        query = f"?{self.query}" if self.query and name == self.only else ""
        file = WebFile(f"{self.root}/{quote(name)}{query}", self.headers)
        try:
            found = file.stat()
        except WebError as error:
            if error.status not in _NOT_THERE:
                raise self._explain(name, error) from error
            if error.status in (401, 403):
                self.denied = error.status
            self.files[name] = None
        except Exception as error:
            raise self._explain(name, error) from error
        else:
            # without a state nothing that came earlier can be trusted
            self.versions[name] = f"{found.state or os.urandom(8).hex()} {found.size}"
            self.files[name] = file

    def _shown(self, name: str) -> str:
        return self.shown if name == self.only else f"{self.root}/{name}"

    def _explain(self, name: str, error: Exception) -> CheckpointError:
        status = error.status if isinstance(error, WebError) else None
        if status in _NOT_THERE:
            return CheckpointError(
                self._shown(name), f"the server denies access (HTTP {status})", "check the address and your right to read it"
            )
        if status is not None:
            return CheckpointError(self._shown(name), f"the server failed (HTTP {status})", "try again later")
        reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        return CheckpointError(self._shown(name), reason, "check the address and the network, and try again")


def _credentials(user: str | None, password: str | None) -> Mapping[str, str]:
    if user is None:
        return {}
    plain = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}
