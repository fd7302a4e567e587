"""Models behind a URL: a folder or a file on a web server, in a bucket, or on any other file system that fsspec knows.

A web server cannot say what is in a folder: the names that models have by custom are tried. What an URL holds besides the
address, a password or a signature, is used and never shown.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from kinprint.checkpoints.formats import format_of
from kinprint.checkpoints.remote.bucket import open_bucket
from kinprint.checkpoints.remote.folder import AT_ONCE, RemoteFolder, Snapshot, bring, explained
from kinprint.checkpoints.remote.http import WebFile
from kinprint.checkpoints.remote.sparse import Remote
from kinprint.checkpoints.weight_files import INDEX
from kinprint.errors import CheckpointError, WebError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.*", re.DOTALL)
_NOT_THERE = (401, 403, 404, 410)
"""Answers to a name that may not be there: storage that must not be listed says "denied" for those that are not."""


def means_url(model: str) -> bool:
    """Whether `model` is a URL rather than a path."""
    return _URL.fullmatch(model) is not None


def fetch(url: str) -> Snapshot:
    """The model at `url`, as a folder or file whose bytes are fetched as they are read.

    Raises:
        CheckpointError: not there, not allowed, without weights, or of a kind that needs a package.
    """
    parts = urlsplit(url)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    path = unquote(parts.path).rstrip("/")
    name = path.rpartition("/")[2] or parts.netloc.rpartition("@")[2] or url
    if parts.scheme.lower() == "file":
        return Snapshot(name, shown, "", Path(url2pathname(parts.path)))
    is_file = format_of(Path(name)) is not None or name.endswith(INDEX)
    only = name if is_file else ""
    if parts.scheme.lower() in ("http", "https"):
        folder = _WebFolder(url, shown, only).elsewhere()
    else:
        folder = open_bucket(url, shown, only)
    return Snapshot(name, shown, "", bring(folder, name, only))


class _WebFolder:
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

    def elsewhere(self) -> RemoteFolder:
        if self.only and not self.there([self.only]):
            problem = f"the server denies access (HTTP {self.denied})" if self.denied else "no such file on the server"
            raise CheckpointError(self.shown, problem, "check the address and your right to read it")
        return RemoteFolder(self.shown, f"web {self.root} {self.only}", frozenset(), self.there, self.file)

    def there(self, names: Iterable[str]) -> set[str]:
        """Ask for all that are not known yet, a few at a time."""
        names = set(names)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._look, sorted(names - self.files.keys())))
        return {name for name in names if self.files[name] is not None}

    def file(self, name: str) -> Remote:
        found = self.files[name]
        assert found is not None
        remote = Remote(self._shown(name), found.size or 0, self.versions[name], found.read)
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
