"""Threads of this process: no start-up cost, and the kernels that measure weights run outside the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from kinprint.engines._engine import Engine, Outcome, attempt


def run(function: Callable[[Any], Any], items: Sequence[Any], workers: int | None) -> Iterator[Outcome[Any, Any]]:
    """As `Engine.run`; one worker by default, since measuring a model uses all processors itself."""
    count = workers or 1
    pool, waiting = ThreadPoolExecutor(count), iter(items)
    running = {pool.submit(attempt, function, item) for item in islice(waiting, 2 * count)}  # not a million at once
    try:
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(attempt, function, item) for item in islice(waiting, len(done))}
            yield from (future.result() for future in done)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


ENGINE = Engine("threads", "threads of this process", run)
