"""Bars on stderr: of bytes, with their rate, and of what is counted. Where stderr is no terminal there are none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import typer

from kinprint.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")


@cache
def say_when_compiling() -> None:
    """See to it that a run which has to compile says so: a user would wonder what it does for ten seconds."""
    if sys.stderr.isatty():
        from kinprint.compiled import on_compiling

        on_compiling(lambda: typer.echo("kinprint: compiling for this machine, once; this takes some seconds", err=True))


def _bars(*columns: str, width: int = 0) -> Progress:
    """Bars with columns of `rich.progress`, by name."""
    from rich import progress
    from rich.console import Console

    terminal = Console(stderr=True)
    text = progress.TextColumn(f"{{task.description:<{width}}}")
    shown = [getattr(progress, name)() for name in columns]
    return progress.Progress(
        text, progress.BarColumn(), *shown, console=terminal, transient=True, disable=not terminal.is_terminal
    )


def _name(subject: object, most: int = 40) -> str:
    """What stands before a bar; rich's markup in it means nothing."""
    from rich.markup import escape

    return escape(printable(subject, most))


def count_bars(width: int = 0) -> Progress:
    """Bars of what is counted: how many of how many, time taken and time left.

    Args:
        width: of the words before a bar, at least.
    """
    return _bars("MofNCompleteColumn", "TimeElapsedColumn", "TimeRemainingColumn", width=width)


@contextmanager
def byte_bar(subject: object) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes: call what it gives with bytes done and bytes in all. Nothing is shown before the first call: a download
    from a hub has its own bars, and two kinds garble each other."""
    bars = _bars("DownloadColumn", "TransferSpeedColumn", "TimeRemainingColumn")
    bar = bars.add_task(_name(subject), total=None)
    with ExitStack() as shown:

        def progress(done: int, total: int) -> None:
            if not (bars.disable or bars.live.is_started):
                shown.enter_context(bars)
            bars.update(bar, completed=done, total=total)

        yield progress


@contextmanager
def count_bar(subject: object) -> Iterator[Callable[[int, int], None]]:
    """A bar of what is counted: call what it gives with how many are done and how many there are."""
    with count_bars() as bars:
        bar = bars.add_task(_name(subject), total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


@contextmanager
def step_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar of steps with names: call what it gives with the name of one, how many are done and how many there are."""
    with _bars("MofNCompleteColumn", "TimeElapsedColumn") as bars:
        bar = bars.add_task("comparing", total=None)
        yield lambda step, done, total: bars.update(bar, description=_name(step, 60), completed=done, total=total)


def tracked(items: Iterator[T], subject: str, total: int) -> Iterator[T]:
    """What a generator yields, with a bar that counts it; the generator is closed at the end, whatever the end is."""
    with closing(items), count_bars() as bars:  # type: ignore[type-var]
        yield from bars.track(items, total=total, description=subject)
