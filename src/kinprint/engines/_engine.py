"""What an engine is: one way to do the same work on many models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kinprint.errors import KinprintError

T = TypeVar("T")
R = TypeVar("R")


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
            ends the run. Function, items and results can be pickled. Closing the iterator stops the work.
    """

    name: str
    summary: str
    run: Callable[[Callable[[Any], Any], Sequence[Any], int | None], Iterator[Outcome[Any, Any]]]
