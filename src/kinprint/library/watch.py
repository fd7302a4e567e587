"""Yields the models that arrive in a folder, each once it is complete.

Polled rather than notified: files also arrive over network file systems, which notify nobody.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kinprint.errors import LibraryError
from kinprint.library.model_folders import is_model_file, kind_of
from kinprint.terms import SETTLED

INTERVAL = 2.0
"""Seconds between two looks."""

UNFINISHED = (".tmp", ".part", ".partial", ".incomplete", ".crdownload", ".download")
"""Ends of the names under which programs copy and download."""

MOST_FILES = 10_000
"""Files of one model's folder that are looked at."""

State = tuple[tuple[str, int, int], ...]
"""Of every file of a model: its name, size and time of change."""


def arrivals(
    folder: Path,
    *,
    settled: float = SETTLED,
    interval: float = INTERVAL,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Path]:
    """Every model that is in a folder or comes into it, for ever: fingerprints, weight files, folders with weights.

    A model that changes after it was yielded, because its copying had stopped half-way, is yielded again. Hidden files are
    skipped; a folder in which a program is still writing a file (UNFINISHED) has to wait.

    Args:
        settled: seconds for which nothing of a model has changed when it is yielded.
        interval: seconds between two looks.
        sleep, now: the clock.

    Raises:
        LibraryError: the folder cannot be read when the watch begins. A folder that vanishes later is waited for.
    """
    if not folder.is_dir():
        raise LibraryError(folder, "no such folder to watch", "make it first")
    seen: dict[str, tuple[State, float]] = {}
    yielded: dict[str, State] = {}
    while True:
        states = {path: state for path in _entries(folder) if (state := _state(path))}
        seen = {
            path.name: seen[path.name] if seen.get(path.name, ((), 0))[0] == state else (state, now())
            for path, state in states.items()
        }
        yielded = {name: state for name, state in yielded.items() if name in seen}
        for path, state in states.items():
            if yielded.get(path.name) != state and now() - seen[path.name][1] >= settled:
                yielded[path.name] = state
                yield path
        sleep(interval)


def _entries(folder: Path) -> list[Path]:
    """What lies in the folder and may be a model, by name."""
    try:
        paths = [Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(path for path in paths if path.is_dir() or is_model_file(path.name))


def _state(path: Path) -> State | None:
    """None if the path is no model, not yet or no longer."""
    try:
        if not path.is_dir():
            return ((path.name, path.stat().st_size, path.stat().st_mtime_ns),)
        files = sorted(entry for entry in _walk(path))
        beside = {file for file in files if os.sep not in file}
        if any(file.endswith(UNFINISHED) for file in files) or kind_of(beside) == "nothing":
            return None
        return tuple((file, (path / file).stat().st_size, (path / file).stat().st_mtime_ns) for file in files)
    except OSError:  # it is being moved or removed
        return None


def _walk(folder: Path) -> Iterator[str]:
    """Names of the files of a folder and its subfolders, relative to it; links to folders are not followed."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            count += 1
            if count > MOST_FILES:
                return
            yield os.path.relpath(os.path.join(place, name), folder)
