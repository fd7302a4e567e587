"""Pairs -> outcomes: every model is measured once, then every pair is compared by every method."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from threadpoolctl import threadpool_limits

import kinprint
from kinprint import methods
from kinprint.benchmark.pairs import Pair, Pairs
from kinprint.benchmark.result import Column, Outcome, Reading, Result
from kinprint.comparison import compare
from kinprint.errors import KinprintError, printable
from kinprint.evidence import Evidence, Method
from kinprint.fingerprints import Fingerprint, fingerprint

Stage = Literal["models", "pairs"]
Progress = Callable[[Stage, int, int], None]
"""Called with the stage, what is done and what there is in all."""

KEPT = 64
"""Fingerprints a process keeps in memory; the others wait on disk."""


def run(
    pairs: Pairs,
    *,
    command: str = "",
    jobs: int = 1,
    cache: bool = True,
    progress: Progress = lambda stage, done, total: None,
    open_model: Callable[[str], Fingerprint] | None = None,
) -> Result:
    """Measure every model, compare every pair.

    A model that cannot be read, and a pair that cannot be compared, are recorded with the reason; the run goes on.

    Args:
        pairs: what to compare.
        command: what was typed, for the record.
        jobs: processes that compare pairs.
        cache: use and fill the user's cache of fingerprints.
        progress: told of every model and every pair.
        open_model: opens a model's place; `kinprint.fingerprint` by default.
    """
    opener = open_model or partial(fingerprint, cache=cache)
    with tempfile.TemporaryDirectory(prefix="kinprint-") as folder:
        start = time.perf_counter()
        files, unreadable = _measure(pairs.models, Path(folder), opener, progress)
        measured = time.perf_counter()
        outcomes = []
        progress("pairs", 0, len(pairs.pairs))
        for outcome in _compare_all(pairs.pairs, files, unreadable, jobs):
            outcomes.append(outcome)
            progress("pairs", len(outcomes), len(pairs.pairs))
        _load.cache_clear()
    return Result(
        name=pairs.name,
        command=command,
        version=kinprint.__version__,
        models=len(pairs.models),
        unreadable=unreadable,
        columns=tuple(Column(m.name, m.kind, m.threshold, m.threshold_source) for m in methods.known()),
        outcomes=tuple(outcomes),
        jobs=jobs,
        measuring_seconds=measured - start,
        comparing_seconds=time.perf_counter() - measured,
    )


def _measure(
    models: Mapping[str, str], folder: Path, opener: Callable[[str], Fingerprint], progress: Progress
) -> tuple[dict[str, Path], dict[str, str]]:
    """Fingerprint files by model, and why the others have none."""
    files: dict[str, Path] = {}
    unreadable: dict[str, str] = {}
    progress("models", 0, len(models))
    for number, (name, place) in enumerate(models.items()):
        target = folder / f"{number}.kinprint"
        try:
            opener(place).save(target)
            files[name] = target
        except KinprintError as error:
            unreadable[name] = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
        except Exception as error:  # whatever is wrong with one model of hundreds, the others are measured, and this one named
            unreadable[name] = _unexpected(error)
        progress("models", number + 1, len(models))
    return files, unreadable


def _compare_all(
    pairs: Iterable[Pair], files: Mapping[str, Path], unreadable: Mapping[str, str], jobs: int
) -> Iterator[Outcome]:
    tasks = [(pair, files.get(pair.reference), files.get(pair.suspect)) for pair in pairs]
    failed = {
        pair: "; ".join(f"{name}: {unreadable[name]}" for name in (pair.reference, pair.suspect) if name in unreadable)
        for pair, a, b in tasks
        if a is None or b is None
    }
    ready = [(pair, a, b) for pair, a, b in tasks if a is not None and b is not None]
    if jobs == 1 or len(ready) < 2:
        done: Iterator[Outcome] = map(_compare, ready)
        yield from (Outcome(pair, failed=failed[pair]) if pair in failed else next(done) for pair, _, _ in tasks)
        return
    # Processes are started afresh: a fork of a process whose libraries run threads may hang.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        try:
            with _interrupts_ignored():  # workers inherit it while they start
                done = pool.map(_compare, ready, chunksize=max(1, min(4, len(ready) // (4 * jobs))))
            yield from (Outcome(pair, failed=failed[pair]) if pair in failed else next(done) for pair, _, _ in tasks)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl-C is for this process alone, not for each of its workers to report. Only the main thread can arrange that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _one_thread() -> None:
    """A process computes on one thread, or all would fight for the processors."""
    import numba

    numba.set_num_threads(1)
    threadpool_limits(1)


@lru_cache(maxsize=KEPT)
def _load(path: Path) -> Fingerprint:
    return Fingerprint.load(path)


def _compare(task: tuple[Pair, Path, Path]) -> Outcome:
    pair, a, b = task
    try:
        return compare_pair(pair, _load(a), _load(b))
    except Exception as error:  # a method that fails on one pair is reported with it, and does not end the run
        return Outcome(pair, failed=str(error) if isinstance(error, KinprintError) else _unexpected(error))


def compare_pair(pair: Pair, reference: Fingerprint, suspect: Fingerprint) -> Outcome:
    """One pair by every known method, each on the clock."""
    seconds: dict[str, float] = {}

    def clocked(method: Method) -> Method:
        def timed(a: Fingerprint, b: Fingerprint) -> Evidence:
            start = time.perf_counter()
            try:
                return method.run(a, b)
            finally:
                seconds[method.name] = time.perf_counter() - start

        return replace(method, run=timed)

    start = time.perf_counter()
    found = compare(reference, suspect, methods=[clocked(method) for method in methods.known()])
    whole = time.perf_counter() - start
    readings = {
        item.method: Reading(_finite(item.statistic), _finite(item.log10_p), item.bound, seconds.get(item.method))
        for item in found.evidence
    }
    return Outcome(pair, None, found.verdict, found.log10_p, readings, whole)


def _finite(value: float | None) -> float | None:
    """A plain float; None for what is no number."""
    return float(value) if value is not None and math.isfinite(value) else None


def _unexpected(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}")
