"""How far long work is: what works counts, without knowing who listens; who waits listens, without knowing what works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str, int, int], None]
"""Told of what is counted, how many are done and how many there are."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listened_to(listener: Listener) -> Iterator[None]:
    """What is counted inside, in this thread, is told to the listener."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def counted(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The items; the listener, if there is one, is told of each when the next is asked for.

    Args:
        what: is counted, with its verb: "layers read".
        total: how many items there are.
    """
    listener = _listener.get()
    for done, item in enumerate(items):
        yield item
        if listener is not None:
            listener(what, done + 1, total)
