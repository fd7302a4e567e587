"""Threads of this process: no start-up cost, and the kernels that measure weights run outside the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from kinprint.engines._engine import Engine, Outcome
from kinprint.errors import KinprintError


def run(function: Callable[[Any], Any], items: Sequence[Any], workers: int | None) -> Iterator[Outcome[Any, Any]]:
    """As `Engine.run`; one worker by default, since measuring a model uses all processors itself."""
    pool = ThreadPoolExecutor(workers or 1)
    futures = {pool.submit(function, item): item for item in items}
    try:
        for future in as_completed(futures):
            item = futures[future]
            try:
                yield Outcome(item, result=future.result())
            except KinprintError as error:
                yield Outcome(item, error=error)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


ENGINE = Engine("threads", "threads of this process", run)
