"""Work that takes long, on a model or two each: a few at a time, the others wait, and whoever knows a job's id may watch it.

What has not ended when the server ends is in its record (`kinprint.server.unfinished`), and the next server begins it again
under the same id. A job that has ended lives as long as the server; what it found is found again after that.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Literal

from kinprint.errors import BusyError, KinprintError
from kinprint.server.unfinished import Entry, Unfinished

Progress = Callable[[int, int], None]
"""Gets how much is done, and how much there is."""

Kind = Literal["fingerprint", "comparison", "search", "report", "tree"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]

KINDS: tuple[Kind, ...] = ("fingerprint", "comparison", "search", "report", "tree")
ENDS: tuple[State, ...] = ("done", "failed", "cancelled")

MOST_WAITING = 16
MOST_KEPT = 200
"""Ended jobs that are remembered."""


class _Cancelled(BaseException):
    """Ends work from within its progress."""


class _TooLong(_Cancelled):
    """Has taken longer than it may."""


@dataclass(frozen=True)
class Job:
    """Work on a model or two.

    Attributes:
        id: in the API, and in the address of its page.
        kind: what is done.
        model: its name, or both names.
        place: page of the result on this server; empty until it is known.
        unit: of `done` and `total`.
        state: "waiting", "running", "done", "failed" or "cancelled".
        done, total: how far it is.
        digest: of the fingerprint that it is about: of one that is measured when it is done.
        error: why it failed.
    """

    id: str
    kind: Kind
    model: str
    place: str
    unit: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    digest: str = ""
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDS

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


Work = Callable[[Progress], "dict[str, str] | None"]
"""What a job does; returns what is known of it at the end (`digest`, `place`)."""


class Jobs:
    """Safe to use from threads.

    Args:
        at_once: jobs that run; the others wait.
        longest: seconds after which one is given up, so that nobody's model keeps others waiting for ever.
        record: is told of the jobs that have not ended, if it is given.
    """

    def __init__(self, at_once: int, longest: float = math.inf, record: Unfinished | None = None) -> None:
        self._longest, self._record, self._closing = longest, record, False
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="job")
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future[None]] = {}
        self._keys: dict[str, Hashable] = {}
        self._ended: Counter[tuple[Kind, State]] = Counter()
        self._lock = Lock()

    def start(self, job: Job, work: Work, key: Hashable = None, entry: Entry | None = None) -> Job:
        """Take a job.

        Args:
            job: as `new` makes one.
            work: gets what to call with its progress.
            key: a job of the same key that has not ended is taken as this one, unless it is None.
            entry: what the record says of it until it has ended; nothing if there is none.

        Raises:
            BusyError: too many are waiting.
        """
        with self._lock:
            for earlier in self._jobs.values():
                if key is not None and not earlier.ended and self._keys[earlier.id] == key:
                    return earlier
            if sum(not earlier.ended for earlier in self._jobs.values()) > MOST_WAITING:
                raise BusyError("the server", "too many jobs are waiting", "try again when one has ended")
            ended = [name for name, earlier in self._jobs.items() if earlier.ended]
            for name in ended[: max(len(ended) - MOST_KEPT, 0)]:
                del self._jobs[name], self._futures[name], self._keys[name]
            self._jobs[job.id], self._keys[job.id] = job, key
            if self._record is not None and entry is not None:
                self._record.begun(entry)
            self._futures[job.id] = self._pool.submit(self._work, job.id, work)
        return job

    def wait(self, name: str, seconds: float) -> Job:
        """The job of an id when it has ended, or as it is after some time."""
        wait([self._futures[name]], seconds)
        return self._jobs[name]

    def get(self, name: str) -> Job | None:
        with self._lock:
            return self._jobs.get(name)

    def all(self) -> list[Job]:
        """The newest first."""
        with self._lock:
            return list(self._jobs.values())[::-1]

    def counts(self) -> dict[tuple[Kind, State], int]:
        """How many wait and run now, and how many have ended since the start, by kind and state."""
        with self._lock:
            now = Counter((job.kind, job.state) for job in self._jobs.values() if not job.ended)
            return {**self._ended, **now}

    def cancel(self, name: str) -> Job | None:
        """Stop a job that has not ended; None if there is none of this id."""
        return self._set(name, state="cancelled")

    def close(self) -> None:
        """Stop everything; the record keeps what has not ended."""
        self._closing = True
        for job in self.all():
            self.cancel(job.id)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, name: str, work: Work) -> None:
        begun = time.monotonic()

        def progress(done: int, total: int) -> None:
            job = self._set(name, done=done, total=total)
            if job is None or job.state == "cancelled":
                raise _Cancelled
            if time.monotonic() - begun > self._longest:
                raise _TooLong

        try:
            progress(0, 0)
            self._set(name, state="running")
            if self._record is not None:
                self._record.running(name)
            told = work(progress) or {}
            self._set(name, state="done", **told)
        except _TooLong:
            spent = f"given up after {self._longest / 60:.0f} minutes"
            self._set(name, state="failed", error=f"{spent}; the command line takes as long as it needs")
        except _Cancelled:
            pass
        except KinprintError as error:
            self._set(name, state="failed", error=str(error))
        except Exception as error:  # shown to whoever watches; the server goes on
            self._set(name, state="failed", error=f"an error in kinprint: {error!r}")

    def _set(self, name: str, **changes: Any) -> Job | None:
        """Change a job; one that has ended stays as it is, and is forgotten some day."""
        with self._lock:
            job = self._jobs.get(name)
            if job is not None and not job.ended:
                job = self._jobs[name] = replace(job, **changes)
                if job.ended:
                    self._ended[job.kind, job.state] += 1
                    if self._record is not None and not (self._closing and job.state == "cancelled"):
                        self._record.ended(name)
            return job


def new(kind: Kind, model: str, place: str = "", unit: str = "models", digest: str = "", again: Entry | None = None) -> Job:
    """A job that waits, with an id that nobody can guess; of one that is begun again, the id that it had."""
    return Job(again.id if again else secrets.token_hex(8), kind, model, place, unit, digest=digest)
