"""Work that takes long, on one model each: a few at a time, the others wait, and everyone may watch."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Literal

from kinprint.errors import BusyError, KinprintError

Progress = Callable[[int, int], None]
"""Gets how much is done, and how much there is."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]

MOST_WAITING = 16
MOST_KEPT = 200
"""Ended runs that are remembered."""


class _Cancelled(BaseException):
    """Ends work from within its progress."""


@dataclass(frozen=True)
class Run:
    """Work on one model.

    Attributes:
        id: in the API.
        model: its name.
        state: "waiting", "running", "done", "failed" or "cancelled".
        done, total: in the unit of the work, bytes or models.
        digest: of the fingerprint: of a search from the start, of a fingerprint when done.
        error: why it failed.
    """

    id: str
    model: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    digest: str = ""
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


class Runs:
    """Safe to use from threads."""

    def __init__(self, at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="run")
        self._runs: dict[str, Run] = {}
        self._futures: dict[str, Future[None]] = {}
        self._lock = Lock()

    def start(self, model: str, work: Callable[[Progress], str], digest: str = "") -> Run:
        """Take a run; one of the same model, given by a digest, that has not ended is taken as this one.

        Args:
            model: its name.
            work: gets what to call with its progress, and returns the digest of the fingerprint.
            digest: of the fingerprint, where there is one before.

        Raises:
            BusyError: too many are waiting.
        """
        run = Run(secrets.token_hex(8), model, digest=digest)
        with self._lock:
            for earlier in self._runs.values():
                if digest and earlier.digest == digest and not earlier.ended:
                    return earlier
            if sum(not earlier.ended for earlier in self._runs.values()) > MOST_WAITING:
                raise BusyError("the server", "too many runs are waiting", "try again when one has ended")
            ended = [key for key, earlier in self._runs.items() if earlier.ended]
            for key in ended[: max(len(ended) - MOST_KEPT, 0)]:
                del self._runs[key], self._futures[key]
            self._runs[run.id] = run
            self._futures[run.id] = self._pool.submit(self._work, run.id, work)
        return run

    def wait(self, key: str, seconds: float) -> Run:
        """The run when it has ended, or as it is after some time."""
        wait([self._futures[key]], seconds)
        return self._runs[key]

    def get(self, key: str) -> Run | None:
        with self._lock:
            return self._runs.get(key)

    def all(self) -> list[Run]:
        """The newest first."""
        with self._lock:
            return list(self._runs.values())[::-1]

    def cancel(self, key: str) -> Run | None:
        """Stop a run that has not ended; None if there is none of this id."""
        with self._lock:
            run = self._runs.get(key)
            if run and not run.ended:
                run = self._runs[key] = replace(run, state="cancelled")
            return run

    def close(self) -> None:
        for run in self.all():
            self.cancel(run.id)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, key: str, work: Callable[[Progress], str]) -> None:
        def progress(done: int, total: int) -> None:
            if self._set(key, done=done, total=total).state == "cancelled":
                raise _Cancelled

        try:
            progress(0, 0)
            self._set(key, state="running")
            self._set(key, state="done", digest=work(progress))
        except _Cancelled:
            pass
        except KinprintError as error:
            self._set(key, state="failed", error=str(error))
        except Exception as error:  # shown to whoever watches; the server goes on
            self._set(key, state="failed", error=f"an error in kinprint: {error!r}")

    def _set(self, key: str, **changes: Any) -> Run:
        """Change a run; one that was cancelled stays so."""
        with self._lock:
            run = self._runs[key]
            if run.state != "cancelled":
                run = self._runs[key] = replace(run, **changes)
            return run
