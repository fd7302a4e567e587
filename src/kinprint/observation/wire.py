"""Requests to an OpenAI-compatible server: JSON there and back, sent again where that may help, never faster than it allows."""

from __future__ import annotations

import email.utils
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from kinprint.errors import ObservationError
from kinprint.observation.budget import Budget

MAX_BYTES = 4_000_000
"""Of one response."""

RETRIES = 4
AGAIN = (408, 429, 500, 502, 503, 504)
PATIENCE = 900.0
"""Seconds that one request waits in all because the server says when to come back (Retry-After)."""

ADDRESS = "give the address of the API, with /v1"
Content = dict[str, Any]


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """What a server redirects to is not followed: the user's key would go along."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Wire:
    """The way to one server. Its methods may be called from several threads at once.

    Args:
        url: of the API, as `http://localhost:8000/v1`.
        timeout: seconds that one request may take.
        budget: what may be spent.

    Raises:
        ObservationError: the address is none; of `post`: the server cannot be reached, refuses, or answers with no JSON object.
    """

    def __init__(self, url: str, timeout: float = 60.0, budget: Budget | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ObservationError(url, "no address of a server", "give one such as http://localhost:8000/v1")
        self.url, self.timeout, self.budget = url.rstrip("/"), timeout, budget or Budget()
        self._opener = urllib.request.build_opener(NoRedirects)
        self._not_before = 0.0
        self._lock = threading.Lock()

    def post(
        self, path: str, content: Content, *, most_tokens: int = 0, without: Callable[[Content], Content] | None = None
    ) -> Content:
        """One request, tried again with growing pauses where that may help, after Retry-After where the server gives it.

        Args:
            path: below the URL, as "chat/completions".
            most_tokens: what it can cost, for the budget.
            without: makes a simpler request of one that was refused with HTTP 400.

        Raises:
            SpentError: the budget does not allow it.
            ObservationError: see above.
        """
        attempt, waited = 0, 0.0
        while True:
            self._wait()
            self.budget.reserve(most_tokens)
            try:
                reply = self._parsed(self._sent(path, content))
                self.budget.settle(most_tokens, total_tokens(reply))
                return reply
            except urllib.error.HTTPError as error:
                self.budget.settle(most_tokens, 0)
                pause = _retry_after(error) if error.code in AGAIN else None
                error.close()
                if error.code == 400 and without is not None and (simpler := without(content)) != content:
                    content = simpler
                    continue
                if pause is not None and waited + pause <= PATIENCE:
                    waited += max(pause, 0.05)
                    self._hold(pause)
                    continue
                if error.code not in AGAIN or attempt == RETRIES:
                    raise self._refused(error.code, pause) from error
            except OSError as error:  # timeouts among them
                reason = getattr(error, "reason", error)
                if attempt == RETRIES or isinstance(reason, ConnectionRefusedError):
                    raise ObservationError(self.url, f"no answer ({reason})", "check the address, is it running?") from error
            time.sleep(0.25 * 2**attempt)
            attempt += 1

    def _sent(self, path: str, content: Content) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(content).encode(), headers)
        with self._opener.open(request, timeout=self.timeout) as answer:
            return bytes(answer.read(MAX_BYTES + 1))

    def _parsed(self, data: bytes) -> Content:
        try:
            reply = json.loads(data) if len(data) <= MAX_BYTES else None
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise ObservationError(self.url, "its answer is no JSON object", ADDRESS)
        return reply

    def _hold(self, seconds: float) -> None:
        """No request, of any thread, goes out before."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _wait(self) -> None:
        pause = self._not_before - time.monotonic()
        if pause > 0:
            time.sleep(pause)

    def _refused(self, status: int, pause: float | None) -> ObservationError:
        if pause is not None:
            problem = f"it answers HTTP {status} and wants {pause:.0f} s between requests"
            return ObservationError(self.url, problem, "try again later")
        return ObservationError(self.url, f"the server answers HTTP {status}", _remedy(status))


def total_tokens(reply: Content) -> int | None:
    """Tokens that the server says it has processed."""
    usage = reply.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and 0 < total < 1 << 31 else None


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3); None where the server does not say."""
    said = (error.headers.get("Retry-After") or "").strip()
    try:
        return max(float(said), 0.0) if said else None
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "set OPENAI_API_KEY to a key of yours"
    if status in (301, 302, 303, 307, 308):
        return "it redirects; give the address that it redirects to"
    if status == 404:
        return "check the address (with /v1) and the name of the model"
    return "try again later"
