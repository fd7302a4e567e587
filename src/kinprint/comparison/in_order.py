"""Work on several things at once, in threads, the results in the order of the things: pairs of models, methods of a pair."""

from __future__ import annotations

import os
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


def in_order(work: Callable[[T], R], pairs: Sequence[T], workers: int | None = None) -> Generator[R]:
    """The result of every pair, in their order. The work runs ahead of who takes the results; closing the iterator stops it.

    The results do not depend on the number of threads.

    Args:
        work: called once for each pair, several at a time; what it raises ends the work.
        workers: threads; by default what $OMP_NUM_THREADS or the machine allows, at most `MOST`.
    """
    count = min(workers or min(usual_threads(), MOST), len(pairs))
    if count < 2:
        yield from map(work, pairs)
        return

    def numbered(number: int) -> R:
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
