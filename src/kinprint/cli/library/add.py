"""kinprint library add MODEL..."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kinprint.cli._library import LibraryOption, stop_if
from kinprint.errors import printable
from kinprint.library import Library
from kinprint.library.adding import Added, add_models
from kinprint.library.inputs import models_in

NAME = "add"


def command(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Models, .kinprint files, or folders that hold them.")
    ],
    library: LibraryOption,
    quick: Annotated[bool, typer.Option(help="Read about 1 % of each model's weights.")] = False,
    engine: Annotated[str, typer.Option(help="Where models are measured: threads, processes, ray.")] = "threads",
    workers: Annotated[int | None, typer.Option(min=1, help="Models measured at once.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads that measure one model.")] = None,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Measure models and put their fingerprints into a library, which is made if there is none.

    Each is there once, by its digest. Results are written as they come; run again after an interruption, it goes on.
    Models that cannot be read are told at the end, the others are added; the exit code is 1 then.

    Example: kinprint library add examples/models --library lib

    prints: lib: 3 new, 0 already there; 3 models
    """
    opened = Library.open(library, create=True)
    wanted = models_in(models)
    results = add_models(opened, wanted, engine=engine, workers=workers, quick=quick, cache=cache, threads=threads)
    found = _watched(wanted, results)
    if any(each.new for each in found):
        opened.optimize()
    failed = [each.error for each in found if each.error is not None]
    if as_json:
        typer.echo(json.dumps(_json(library, len(opened), found)))
    else:
        new = sum(each.new for each in found)
        unreadable = f", {len(failed)} unreadable" if failed else ""
        there = len(found) - new - len(failed)
        typer.echo(f"{printable(library)}: {new} new, {there} already there{unreadable}; {len(opened)} models")
    stop_if(failed)


def _watched(wanted: list[str], results: Any) -> list[Added]:
    """All results, with a bar on stderr while they come."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    terminal = Console(stderr=True)
    with closing(results), Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bars:
        return list(bars.track(results, total=len(wanted), description="measuring"))


def _json(library: str, count: int, found: Iterable[Added]) -> dict[str, Any]:
    return {
        "format": "kinprint-library-add/1",
        "library": library,
        "models": count,
        "added": [{"model": each.model, "digest": each.digest} for each in found if each.new],
        "there": [{"model": each.model, "digest": each.digest} for each in found if each.error is None and not each.new],
        "failed": [{"model": each.model, "error": str(each.error)} for each in found if each.error is not None],
    }
