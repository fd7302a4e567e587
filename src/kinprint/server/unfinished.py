"""Jobs that have not ended, on this disk: when a server ends, by whatever means, the next one over the same library begins
them again.

The record stands in the user's cache folder, readable by its owner alone, and is moved into place at every change. It says of
each job what a client has asked for, by digests and ids. It is read as a stranger's: `kinprint.server.resumed` checks each
entry as the request that it stands for.

One server of a library keeps the record, for as long as it runs. Another one beside it, over the same library, keeps none.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import IO, Any

from blake3 import blake3

from kinprint.checkpoints.files import cache_folder, read_bounded, replacing
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError

try:
    import fcntl
except ImportError:  # where there are no such locks, the server that started last has the record
    fcntl = None  # type: ignore[assignment]

FORMAT = "kinprint-jobs/1"

LARGEST = 64_000
"""Bytes of a record; of as many jobs as may wait it takes a quarter of that."""

MOST = 64
"""Entries that are looked at."""

MOST_TRIES = 9
"""Beyond what is counted."""

ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A job that has not ended.

    Attributes:
        id: of the job.
        request: what `POST /api/jobs` would take for it.
        tries: how often the server ended while it ran.
    """

    id: str
    request: dict[str, Any]
    tries: int = 0


class Unfinished:
    """The record of the jobs of one library. Safe to use from threads; what cannot be written is not kept.

    Args:
        library: its place, as the server was given it.
    """

    def __init__(self, library: str) -> None:
        where = library if "://" in library else os.path.realpath(library)
        self._file = cache_folder() / "jobs" / f"{blake3(os.fsencode(where)).hexdigest()[:32]}.json"
        self._entries: dict[str, Entry] = {}
        self._running: set[str] = set()
        self._lock = Lock()
        self._owned = _owned(self._file.with_suffix(".lock"))

    def left(self) -> list[Entry]:
        """What an earlier server has left, in the order in which it was begun; nothing where another one has the record.

        Each stays in the record until `ended` is told of it.
        """
        if self._owned is None:
            return []
        try:
            said = parse_object(read_bounded(self._file, LARGEST), self._file, strict=True)
        except CheckpointError:
            return []
        jobs = said.get("jobs")
        entries = jobs[:MOST] if said.get("format") == FORMAT and isinstance(jobs, list) else []
        with self._lock:
            self._entries = {entry.id: entry for entry in map(_entry, entries) if entry is not None}
            return list(self._entries.values())

    def begun(self, entry: Entry) -> None:
        """A job waits."""
        with self._lock:
            self._entries[entry.id] = entry
            self._write()

    def running(self, job: str) -> None:
        """A job runs: should the server end now, it may be the reason."""
        with self._lock:
            if job in self._entries and job not in self._running:
                self._running.add(job)
                self._entries[job] = replace(self._entries[job], tries=self._entries[job].tries + 1)
                self._write()

    def ended(self, job: str) -> None:
        """A job has ended."""
        with self._lock:
            self._running.discard(job)
            if self._entries.pop(job, None) is not None:
                self._write()

    def close(self) -> None:
        """The server ends in order: what ran is not the reason. What has not ended stays in the record."""
        with self._lock:
            for job in self._running & self._entries.keys():
                self._entries[job] = replace(self._entries[job], tries=self._entries[job].tries - 1)
            self._write()
            if self._owned is not None:
                self._owned.close()
            self._owned = None

    def _write(self) -> None:
        if self._owned is None:
            return
        said = {"format": FORMAT, "jobs": [asdict(entry) for entry in self._entries.values()]}
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._file, private=True) as file:
                file.write(json.dumps(said).encode())


def _owned(path: Path) -> IO[bytes] | None:
    """The lock of a record, held until it is closed; None where another server holds it, or nothing can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o600))  # noqa: SIM115
    except OSError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _entry(said: Any) -> Entry | None:
    """An entry whose form is right; what it asks for is not looked at here."""
    if not isinstance(said, dict):
        return None
    job, request, tries = said.get("id"), said.get("request"), said.get("tries")
    if not (isinstance(job, str) and ID.fullmatch(job) and isinstance(request, dict) and type(tries) is int):
        return None
    return Entry(job, request, min(max(tries, 0), MOST_TRIES))
