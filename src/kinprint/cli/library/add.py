"""kinprint library add MODEL..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._gates import stop_if
from kinprint.cli._models import called, read
from kinprint.cli._options import (
    CacheOption,
    EngineOption,
    JsonOption,
    LibraryOption,
    NameOption,
    QuickOption,
    ThreadsOption,
    WorkersOption,
)
from kinprint.cli._output import emit
from kinprint.cli._progress import tracked
from kinprint.errors import printable

if TYPE_CHECKING:
    from kinprint.library.adding import Added


def command(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Models, .kinprint files, or folders that hold them.")
    ],
    library: LibraryOption,
    name: NameOption = None,
    quick: QuickOption = False,
    engine: EngineOption = "threads",
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    cache: CacheOption = True,
    as_json: JsonOption = False,
) -> None:
    """Measure models and put their fingerprints into a library; a new one is made if there is none.

    Each model is stored once, by its digest. Results are written as they come; after an interruption, run the command again and
    it goes on. Models that cannot be read are listed at the end, the others are added; the exit code is then 1.

    Example: kinprint library add examples/models --library lib

    prints: lib: 3 new, 0 already there; 3 models
    """
    if name is not None and len(models) != 1:
        raise typer.BadParameter("takes one model", param_hint="--name")
    if len(models) == 1:  # of several, those that can be read are added
        require_there(*models)
    from kinprint.library import Library
    from kinprint.library.adding import Added, add_models
    from kinprint.library.inputs import models_in

    opened = Library.open(library, create=True)
    if name is not None:
        measured = called(read(models[0], quick=quick, cache=cache, threads=threads), name)
        done = [Added(models[0], measured.digest, bool(opened.add([measured])))]
    else:
        wanted = models_in(models)
        results = add_models(opened, wanted, engine=engine, workers=workers, quick=quick, cache=cache, threads=threads)
        done = list(tracked(results, "measuring", len(wanted)))
    if any(each.new for each in done):
        opened.optimize()
    count = len(opened)
    emit(as_json, lambda: _json(library, count, done), lambda: _line(library, count, done))
    stop_if([each.error for each in done if each.error is not None])


def _line(library: str, count: int, done: Sequence[Added]) -> str:
    new, failed = sum(each.new for each in done), sum(each.error is not None for each in done)
    unreadable = f", {failed} unreadable" if failed else ""
    return f"{printable(library)}: {new} new, {len(done) - new - failed} already there{unreadable}; {count} models"


def _json(library: str, count: int, done: Sequence[Added]) -> dict[str, Any]:
    return {
        "format": "kinprint-library-add/1",
        "library": library,
        "models": count,
        "added": [{"model": each.model, "digest": each.digest} for each in done if each.new],
        "there": [{"model": each.model, "digest": each.digest} for each in done if each.error is None and not each.new],
        "failed": [{"model": each.model, "error": str(each.error)} for each in done if each.error is not None],
    }
