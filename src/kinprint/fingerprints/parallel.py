"""Work on several threads that an interruption ends at once, not when the layers being read are done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 8
"""By default. Each needs some 100 MiB, and a few of them read as fast as memory allows."""


def each(function: Callable[[T], R], items: Iterable[T], threads: int | None) -> list[R]:
    """The results for all items, in order; the first exception ends the rest.

    Args:
        threads: how many; by default one a processor, MOST_THREADS at most.
    """
    pool = ThreadPoolExecutor(threads or min(os.cpu_count() or 1, MOST_THREADS))
    try:
        found = list(pool.map(function, items))
    except BaseException:  # Ctrl-C among them
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return found
