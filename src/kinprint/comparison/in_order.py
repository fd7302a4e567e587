"""Work on several things at once, in threads, the results in the order of the things: pairs of models, methods of a pair.

There is one pool at a time: inside it, work on several things is done in the thread that it is in. A pool for each pair of many
would start threads for nothing, and keep more of them busy than there are processors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from kinprint import engines
from kinprint.fingerprints.parallel import usual_threads

T = TypeVar("T")
R = TypeVar("R")

MOST = 4
"""Threads by default: each holds the fingerprints of a pair and what a test makes of them, up to a few hundred MiB."""

_thread = threading.local()
"""Has `pooled` in a thread of a pool."""


def in_order(work: Callable[[T], R], pairs: Sequence[T], workers: int | None = None) -> Generator[R]:
    """The result of every pair, in their order. The work runs ahead of who takes the results; closing the iterator stops it.

    The results do not depend on the number of threads. Called by work of another `in_order`, it uses that one's thread alone.

    Args:
        work: called once for each pair, several at a time; what it raises ends the work.
        workers: threads; by default what $OMP_NUM_THREADS or the machine allows, at most `MOST`.
    """
    count = min(workers or min(usual_threads(), MOST), len(pairs))
    if count < 2 or hasattr(_thread, "pooled"):
        yield from map(work, pairs)
        return

    def numbered(number: int) -> R:
        _thread.pooled = True
        _share_kernels(count)
        return work(pairs[number])

    done: dict[int, Any] = {}
    following = 0
    with threadpool_limits(limits=1, user_api="blas"), closing(_outcomes(numbered, len(pairs), count)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            done[outcome.item] = outcome.result
            while following in done:
                yield done.pop(following)
                following += 1


def _outcomes(work: Callable[[int], Any], total: int, workers: int) -> Any:
    return engines.named("threads").run(work, range(total), workers)


def _share_kernels(workers: int) -> None:
    """Compiled loops of this thread run on its share of the processors."""
    import numba

    numba.set_num_threads(max(1, min((os.cpu_count() or 1) // workers, numba.get_num_threads())))
