"""What an engine is: one way to do the same work on many models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kinprint.errors import EngineError, KinprintError, printable

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 3
"""Times an item is given to another worker after its worker has died."""


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What came of one item: a result, or the error that a person can act on."""

    item: T
    result: R | None = None
    error: KinprintError | None = None


@dataclass(frozen=True)
class Engine:
    """Where work on many models is done.

    Attributes:
        name: as after `--engine`.
        summary: where the work is done, in one line.
        run: takes a function, items and the number of workers (None: what suits the engine) and yields an Outcome for every
            item, once, as soon as it is there, in any order. A KinprintError of the function is an outcome; any other exception
            ends the run. Where workers are processes, an item whose worker dies is tried again, RETRIES times, and then its
            outcome is an EngineError: so the function may run more than once for an item, and leaves it to the caller to write
            results down. Function, items and results can be pickled. Closing the iterator stops the work.
    """

    name: str
    summary: str
    run: Callable[[Callable[[Any], Any], Sequence[Any], int | None], Iterator[Outcome[Any, Any]]]


def attempt(function: Callable[[T], R], item: T) -> Outcome[T, R]:
    """What comes of one item here and now."""
    try:
        return Outcome(item, result=function(item))
    except KinprintError as error:
        return Outcome(item, error=error)


def lost(item: object, why: str) -> EngineError:
    """The error of an item all of whose workers have died."""
    remedy = "if memory is short, use fewer workers; then run it again for this one alone"
    return EngineError(item, f"{RETRIES + 1} workers died while they worked on it ({printable(why, 100)})", remedy)
