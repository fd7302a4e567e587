"""A hub on this machine: the part of the protocol that downloading a model needs, from folders."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_LARGE = (".safetensors", ".bin")


class HubServer:
    """Serves models while it is entered.

    Attributes:
        models: `org/name` or `org/name@revision` -> folder; the former is the revision main.
        failures: `org/name` -> status and X-Error-Code of every answer about it.
        requests: method and path of everything asked for.
        tokens: the Authorization header of everything asked for.
    """

    def __init__(self, models: Mapping[str, Path]) -> None:
        self.models = {key if "@" in key else f"{key}@main": folder for key, folder in models.items()}
        self.failures: dict[str, tuple[int, str]] = {}
        self.requests: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

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
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        self.hub.tokens.append(self.headers.get("Authorization"))
        match = _API.fullmatch(path) or _FILE.fullmatch(path)
        if not match:
            return self._error(404, "")
        if failure := self.hub.failures.get(match["id"]):
            return self._error(*failure)
        if not any(key.startswith(match["id"] + "@") for key in self.hub.models):
            return self._error(404, "RepoNotFound")
        found = self.hub.folder(match["id"], match["revision"] or "main")
        if found is None:
            return self._error(404, "RevisionNotFound")
        if match.re is _API:
            return self._describe(match["id"], match["what"], *found)
        return self._send_file(found[0], found[1] / match["file"])

    do_HEAD = do_GET  # noqa: N815

    def _describe(self, name: str, what: str | None, commit: str, folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        if what == "tree":
            self._json([_entry(name, path) for name, path in files.items()])
        else:
            self._json({"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]})

    def _send_file(self, commit: str, path: Path) -> None:
        if not path.is_file():
            return self._error(404, "EntryNotFound")
        data = path.read_bytes()
        headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path.suffix in _LARGE:
            headers |= {"X-Linked-Etag": f'"{_etag(data)}"', "X-Linked-Size": str(len(data))}
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not wanted:
            return self._send(200, data, headers)
        start, end = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        return self._send(206, data[start : end + 1], headers)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: stderr belongs to what is tested."""


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _entry(name: str, path: Path) -> dict[str, Any]:
    """A file as the tree of a revision lists it."""
    data = path.read_bytes()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    if path.suffix in _LARGE:
        entry["lfs"] = {"oid": _etag(data), "size": len(data), "pointerSize": 134}
    return entry
