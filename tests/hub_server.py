"""A hub on this machine: the part of its protocol that reading a model needs, from folders.

Large files may lie on a second server (`elsewhere`), to which the hub redirects with an address that is good for a while. The
same folders are served as a plain web server would, under /web/org/name/. Both can be given trouble.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_WEB = re.compile(r"/web/(?P<id>[^/]+/[^/]+)/(?P<file>.+)")
_STORED = re.compile(r"/stored/(?P<ticket>\d+)/(?P<id>[^/]+/[^/]+)/(?P<commit>[^/]+)/(?P<file>.+)")
_LARGE = (".safetensors", ".bin", ".gguf")
_HASHED = 1 << 26  # larger files are known by their size and time


@dataclass
class Trouble:
    """What happens to one request for the content of a file.

    Attributes:
        status: an error instead of the file.
        headers: with it.
        cut: the connection is closed after so many bytes of the body.
        delay: seconds of silence before each block of the body.
        silent: no answer at all, for so many seconds.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    delay: float = 0.0
    silent: float = 0.0


class HubServer:
    """Serves models while it is entered.

    Attributes:
        models: `org/name` or `org/name@revision` -> folder; the former is the revision main.
        failures: `org/name` -> status and X-Error-Code of every answer about it.
        requests: method and path of everything asked for.
        tokens: the Authorization header of everything asked for.
        troubles: what happens to the next requests for content, the first to the first.
        always: what happens to every one, when there is nothing in `troubles`.
        elsewhere: large files are stored on another server.
        storage_tokens: the Authorization header of everything asked of that one.
        tickets: how many redirections to it were given.
        expired: how many of them, the first ones, are no longer good.
        ignores_ranges: the whole file is the answer to every range.
        sizes: the listing tells sizes and hashes.
        served: bytes of content sent of each file.
        ranges: file, first byte and number of bytes of each answer with content.
    """

    def __init__(self, models: Mapping[str, Path]) -> None:
        self.models = {key if "@" in key else f"{key}@main": folder for key, folder in models.items()}
        self.failures: dict[str, tuple[int, str]] = {}
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self.troubles: deque[Trouble] = deque()
        self.always = Trouble()
        self.elsewhere = False
        self.storage_tokens: list[str | None] = []
        self.tickets = self.expired = 0
        self.ignores_ranges = False
        self.sizes = True
        self.served: Counter[str] = Counter()
        self.ranges: list[tuple[str, int, int]] = []
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server, self._storage = _Server(("127.0.0.1", 0), handler), _Server(("127.0.0.1", 0), handler)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            for server in (self._server, self._storage)
        ]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self._storage.server_port}"

    @property
    def bytes_served(self) -> int:
        return self.served.total()

    @property
    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        found = (_FILE.fullmatch(path) for method, path in self.requests if method == "GET")
        return {match["file"] for match in found if match}

    def commit(self, name: str, revision: str = "main") -> str:
        """The commit that a revision stands for."""
        return hashlib.sha1(f"{name}@{revision}".encode()).hexdigest()

    def folder(self, name: str, revision: str) -> tuple[str, Path] | None:
        """Commit and folder of a branch, a tag or a commit."""
        for key, folder in self.models.items():
            known, _, branch = key.partition("@")
            commit = self.commit(known, branch)
            if known == name and revision in (branch, commit):
                return commit, folder
        return None

    def __enter__(self) -> HubServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._server, self._storage):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing: clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if stored := _STORED.fullmatch(path):
            return self._from_storage(stored)
        self.hub.requests.append((self.command, path))
        self.hub.tokens.append(self.headers.get("Authorization"))
        match = _WEB.fullmatch(path) or _API.fullmatch(path) or _FILE.fullmatch(path)
        if not match:
            return self._error(404, "")
        if failure := self.hub.failures.get(match["id"]):
            return self._error(*failure)
        if not any(key.startswith(match["id"] + "@") for key in self.hub.models):
            return self._error(404, "RepoNotFound")
        found = self.hub.folder(match["id"], match.groupdict().get("revision") or "main")
        if found is None:
            return self._error(404, "RevisionNotFound")
        if match.re is _API:
            return self._describe(match["id"], match["what"], *found)
        path = found[1] / match["file"]
        if not path.is_file():
            return self._error(404, "EntryNotFound")
        if match.re is _WEB:
            return self._send_file(path, {})
        headers = {"X-Repo-Commit": found[0]}
        if path.suffix in _LARGE:
            headers |= {"X-Linked-Etag": _etag(path), "X-Linked-Size": str(path.stat().st_size)}
            if self.hub.elsewhere:
                with self.hub.lock:
                    self.hub.tickets += 1
                place = f"/stored/{self.hub.tickets}/{match['id']}/{found[0]}/{quote(match['file'])}"
                return self._send(302, b"", {**headers, "Location": self.hub.storage + place})
        return self._send_file(path, headers)

    do_HEAD = do_GET  # noqa: N815

    def _from_storage(self, match: re.Match[str]) -> None:
        self.hub.storage_tokens.append(self.headers.get("Authorization"))
        found = self.hub.folder(match["id"], match["commit"])
        if found is None or int(match["ticket"]) <= self.hub.expired:
            return self._error(403, "")
        return self._send_file(found[1] / match["file"], {})

    def _describe(self, name: str, what: str | None, commit: str, folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        if what == "tree":
            self._json([_entry(name, path) for name, path in files.items()])
        else:
            self._json({"id": name, "sha": commit, "siblings": [self._sibling(*item) for item in files.items()]})

    def _sibling(self, name: str, path: Path) -> dict[str, Any]:
        """A file as the description of a model lists it."""
        if not self.hub.sizes or "blobs=" not in self.path:
            return {"rfilename": name}
        entry = _entry(name, path)
        lfs = {"lfs": {"sha256": entry["lfs"]["oid"], "size": entry["size"], "pointerSize": 134}} if "lfs" in entry else {}
        return {"rfilename": name, "size": entry["size"], "blobId": entry["oid"], **lfs}

    def _send_file(self, path: Path, headers: Mapping[str, str]) -> None:
        """The file or the range of it that was asked for, with the trouble whose turn it is."""
        with self.hub.lock:
            trouble = self.hub.troubles.popleft() if self.hub.troubles and self.command == "GET" else self.hub.always
        if trouble.silent:
            time.sleep(trouble.silent)
            self.close_connection = True
            return None
        if trouble.status:
            return self._send(trouble.status, b"{}", trouble.headers)
        size = path.stat().st_size
        start, stop, status = 0, size, 200
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        headers = {**headers, "ETag": f'"{_etag(path)}"', "Accept-Ranges": "bytes"}
        if wanted and not self.hub.ignores_ranges:
            start, stop, status = int(wanted[1]), min(int(wanted[2] or size - 1) + 1, size), 206
            if start >= size:
                return self._send(416, b"", {"Content-Range": f"bytes */{size}"})
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._begin(status, stop - start, headers)
        return None if self.command == "HEAD" else self._body(path, start, stop, trouble)

    def _body(self, path: Path, start: int, stop: int, trouble: Trouble) -> None:
        sent = 0
        with contextlib.suppress(ConnectionError), path.open("rb") as file:
            file.seek(start)
            while start + sent < stop:
                time.sleep(trouble.delay)
                block = file.read(min(1 << 16, stop - start - sent))
                if trouble.cut is not None and sent + len(block) >= trouble.cut:
                    block = block[: trouble.cut - sent]
                    stop = start + trouble.cut
                    self.close_connection = True
                self.wfile.write(block)
                sent += len(block)
        with self.hub.lock:
            self.hub.served[path.name] += sent
            self.hub.ranges.append((path.name, start, sent))

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self._begin(status, len(data), headers)
        if self.command != "HEAD":
            self.wfile.write(data)

    def _begin(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: stderr belongs to what is tested."""


def _etag(path: Path) -> str:
    status = path.stat()
    if status.st_size > _HASHED:
        return hashlib.sha256(f"{path} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _entry(name: str, path: Path) -> dict[str, Any]:
    """A file as the tree of a revision lists it."""
    size = path.stat().st_size
    entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": _etag(path)[:40]}
    if path.suffix in _LARGE:
        entry["lfs"] = {"oid": _etag(path), "size": size, "pointerSize": 134}
    return entry
