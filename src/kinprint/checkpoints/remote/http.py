"""Reading files over HTTP by byte ranges, through the client of the hub's library: its proxies, certificates and offline mode.

What is temporary is tried again, after a while that grows: too many requests (as long as the server says), servers that fail,
connections that are cut, which go on where they stopped. What is not ends at once. A file must stay the same between two
requests: its ETag (else its time), size and commit are compared in every answer.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import urljoin, urlsplit

from kinprint.checkpoints.remote.session import Pace, Session, origin, shared_session
from kinprint.errors import ChangedError, WebError

TRIES = 6
"""Failures in a row, without ENOUGH bytes in between, after which a request is given up."""

ENOUGH = 1 << 20
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds until the second try, doubled each time, and the most; where the server says how long, that long."""

PATIENCE = 330.0
"""Seconds: a server that wants a longer pause (limits of the hub count five minutes) is an error."""

REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_RESET = re.compile(r";\s*t\s*=\s*(\d+)")  # of a RateLimit header
_STATES = ("ETag", "X-Linked-Etag", "X-Repo-Commit")


class _TryAgainError(Exception):
    """A failure that may pass.

    Attributes:
        final: what to raise if it does not.
        wait: seconds that the server asks for.
        url: what was asked.
    """

    def __init__(self, final: WebError, wait: float | None = None, url: str = "") -> None:
        super().__init__(str(final))
        self.final, self.wait, self.url = final, wait, url


@dataclass(frozen=True)
class Stat:
    """What a server says about a file.

    Attributes:
        size: in bytes.
        state: its ETag, else the time of its last change, else "".
    """

    size: int
    state: str


class WebFile:
    """One file at one address; may be read by several threads."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, size: int | None = None, commit: str = "", session: Session | None = None
    ) -> None:
        """
        Args:
            url: http or https.
            headers: that go to the server of `url` and, as they may hold a token, to no other.
            size: if it is known.
            commit: that a hub has to answer from.
            session: that requests count in; that of the process by default.
        """
        self.url, self.size = url, size
        self._pace = (session or shared_session()).pace
        self._headers = dict(headers)
        self._states: dict[tuple[str, str], str] = {(origin(url), "X-Repo-Commit"): commit} if commit else {}
        self._direct = ""  # where the redirects ended, so that not every range goes through them
        self._lock = threading.Lock()

    def stat(self) -> Stat:
        """Size and state; asked for by the first byte, as some servers give addresses that are good for nothing else.

        Raises:
            WebError: not there, not allowed, or no answer.
        """

        failures = 0
        while True:
            try:
                with self._answer(0, 1) as response:
                    return Stat(self.size or 0, _state(response))
            except Exception as error:
                failures += 1
                _recover(error, failures, self._pace)

    def read(self, start: int, stop: int) -> Generator[tuple[int, bytes], None, None]:
        """Offset and bytes of each chunk from `start` to `stop`, or of the whole file where the server knows no ranges.

        Raises:
            WebError: it cannot be had.
            ChangedError: it has changed since the first request.
        """
        position, failures = start, 0
        while position < stop:
            before = position
            try:
                with self._answer(position, stop) as response:
                    position = position if response.status_code == 206 else 0
                    for chunk in response.iter_raw():
                        yield position, chunk
                        position += len(chunk)
                if position < stop:
                    raise _TryAgainError(WebError("the connection was closed early"))
            except Exception as error:
                failures = 1 if position - before >= ENOUGH else failures + 1
                _recover(error, failures, self._pace)
                position = max(position, before)

    @contextmanager
    def _answer(self, start: int, stop: int) -> Generator[Any, None, None]:
        """An answer that holds the span, redirects followed and everything about it checked; its body is not read yet."""
        from huggingface_hub import constants, get_session

        direct, url = self._direct, self._direct or self.url
        for _ in range(REDIRECTS + 1):
            headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
            if origin(url) == origin(self.url):
                headers |= self._headers
            self._pace.wait(url)
            with get_session().stream(
                "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, follow_redirects=False
            ) as response:
                status = response.status_code
                if status in (200, 206) or (status == 416 and self._empty(response)):
                    self._check(url, response, start, stop)
                    self._direct = url if url != self.url else ""
                    yield response
                    return
                if status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    self._same(url, response)
                    url = urljoin(url, response.headers["Location"])
                    if urlsplit(url).scheme not in ("http", "https"):
                        raise WebError("redirects to what is not on the web")
                    continue
                if direct and status in (400, 401, 403, 404, 410):  # such addresses are good for a while only
                    self._direct = ""
                    raise _TryAgainError(WebError(f"HTTP {status}", status), 0.0)
                raise _refused(url, response)
        raise WebError("redirects in a circle")

    def _empty(self, response: Any) -> bool:
        """Whether a file has no first byte because it has none at all."""
        return self.size in (None, 0) and response.headers.get("Content-Range", "") == "bytes */0"

    def _check(self, url: str, response: Any, start: int, stop: int) -> None:
        """Raise unless the answer is one to what was asked, about the file that it was before."""
        self._same(url, response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise WebError("the server compresses what it sends")
        size = response.headers.get("Content-Length")
        if response.status_code == 206:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if not found or int(found[1]) != start or int(found[2]) >= max(stop, start + 1):
                raise WebError("the server answers with another range than was asked for")
            size = found[3]
        elif response.status_code == 416:
            size = "0"
        if size is not None and size.isdecimal():
            self._sized(int(size))
        elif self.size is None:
            raise WebError("the server does not say how large it is")

    def _same(self, url: str, response: Any) -> None:
        """Raise ChangedError where an answer names another state than earlier ones of the same server did."""
        found = {name: response.headers[name] for name in _STATES if name in response.headers}
        if "ETag" not in found and "Last-Modified" in response.headers:
            found["Last-Modified"] = response.headers["Last-Modified"]
        with self._lock:
            for name, value in found.items():
                if self._states.setdefault((origin(url), name), value) != value:
                    raise ChangedError("changed while it was being read")
        linked = response.headers.get("X-Linked-Size", "")
        if linked.isdecimal():
            self._sized(int(linked))

    def _sized(self, size: int) -> None:
        if self.size is None:
            self.size = size
        if self.size != size:
            raise ChangedError(f"changed while it was being read: {size:,} bytes, not {self.size:,}")


def _state(response: Any) -> str:
    return str(response.headers.get("ETag") or response.headers.get("Last-Modified") or "")


def _refused(url: str, response: Any) -> Exception:
    """The error of an answer that holds no file."""
    status = response.status_code
    error = WebError(f"HTTP {status}", status, response.headers.get("X-Error-Code", ""))
    if status == 416:
        return ChangedError("changed while it was being read: it is shorter than it was", status)
    if status not in (408, 429) and status < 500:
        return error
    told = response.headers.get("Retry-After", "")
    reset = _RESET.search(response.headers.get("RateLimit", "")) if status == 429 else None
    wait = float(told) if told.isdecimal() else float(reset[1]) if reset else None
    if wait is not None and wait > PATIENCE:
        return error
    return _TryAgainError(error, wait, url)


# --- patience


def _recover(error: Exception, failures: int, pace: Pace) -> None:
    """Return when it is time for the next try; raise what `error` comes to if there is none, or after the last."""
    again = _temporary(error)
    if again is None:
        raise error
    if failures >= TRIES:
        raise again.final
    if again.wait is None:
        pause(failures)
    elif again.wait:
        pace.hold(again.url, again.wait)  # all who ask this host


def pause(failures: int) -> None:
    """Wait before the next try: twice as long each time, and never all at the same moment."""
    time.sleep(min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT) * random.uniform(0.5, 1.5))


def _temporary(error: Exception) -> _TryAgainError | None:
    """`error` as one that may pass, or None: failed answers, and whatever the HTTP client says about the connection."""
    if isinstance(error, _TryAgainError):
        return error
    if isinstance(error, _transport_error()):
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        final = WebError(reason)
        final.__cause__ = error
        return _TryAgainError(final)
    return None


@cache
def _transport_error() -> type[Exception]:
    """What the HTTP client of the hub's library raises about a connection. Which client that is, its errors derive from."""
    from huggingface_hub.errors import HfHubHTTPError

    client = next(kind.__module__.partition(".")[0] for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    error: type[Exception] = import_module(client).TransportError
    return error
