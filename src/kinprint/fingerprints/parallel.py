"""Work on several threads that an interruption ends at once, not when the layers being read are done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kinprint.progress import counted

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 8
"""By default. Each needs some 100 MiB, and a few of them read as fast as memory allows."""


def each(function: Callable[[T], R], items: Iterable[T], threads: int | None = None, what: str = "done") -> list[R]:
    """The results for all items, in order; the first exception ends the rest.

    Args:
        threads: how many; by default as `usual_threads` says.
        what: is counted for whoever listens (`kinprint.progress`).
    """
    work = list(items)
    pool = ThreadPoolExecutor(threads or usual_threads())
    try:
        results = list(counted(pool.map(function, work), what, len(work)))
    except BaseException:  # Ctrl-C among them
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return results


def usual_threads() -> int:
    """$OMP_NUM_THREADS, by which job schedulers, Ray and our own engines share a machine; else one a processor, at most 8."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else min(os.cpu_count() or 1, MOST_THREADS)
