"""What all transfers of a process share: the number of their connections, and the pace at which each host is asked."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from functools import cache
from urllib.parse import urlsplit

CONNECTIONS = 8
"""Pieces on their way at the same time: of one call, and of all calls of a session together."""

APART = 0.02
"""Seconds between the beginnings of two requests to one host, at least."""


class Pace:
    """When the next request to a host may begin."""

    def __init__(self) -> None:
        self._next: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def wait(self, url: str) -> None:
        """Return when a request to the host of `url` may begin."""
        host = origin(url)
        with self._lock:
            begin = max(self._next[host], time.monotonic())
            self._next[host] = begin + APART
        time.sleep(max(begin - time.monotonic(), 0))

    def hold(self, url: str, seconds: float) -> None:
        """Let nobody ask the host of `url` for some seconds."""
        host = origin(url)
        with self._lock:
            self._next[host] = max(self._next[host], time.monotonic() + seconds)


class Session:
    """Limits that transfers share.

    Attributes:
        connections: one is held while a piece is fetched.
        pace: of requests.
    """

    def __init__(self) -> None:
        self.connections = threading.BoundedSemaphore(CONNECTIONS)
        self.pace = Pace()


@cache
def shared_session() -> Session:
    """The session of this process."""
    return Session()


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or {'http': 80, 'https': 443}.get(parts.scheme)}"
