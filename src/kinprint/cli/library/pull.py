"""kinprint library pull [SET]"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.cli._gates import stop_if
from kinprint.cli._options import JsonOption, LibraryOption
from kinprint.cli._output import emit
from kinprint.cli._progress import step_bar
from kinprint.errors import KinprintError, printable


def command(
    library: LibraryOption,
    source: Annotated[
        str, typer.Argument(metavar="SET", help="A set that comes with kinprint, a folder, a hub id or a URL.")
    ] = "starter",
    as_json: JsonOption = False,
) -> None:
    """Add a published set of fingerprints to a library; a new one is made if there is none.

    A set is what `kinprint library export` writes: files and a manifest with their digests. Says before how many bytes it
    fetches, checks every file, and does not fetch again what the library has. Files that are not what the manifest says are
    listed and left out; the exit code is then 1. The set `starter` comes with kinprint: quick fingerprints of two small
    released models.

    Example: kinprint library pull starter --library lib

    prints: lib: 2 new from starter; 2 models
    """
    from rich.filesize import decimal

    from kinprint.library import Library
    from kinprint.library.sets import open_set, pull

    wanted = open_set(source)
    typer.echo(f"{printable(wanted.where)}: {len(wanted.items)} fingerprints, {decimal(wanted.nbytes)}", err=True)
    opened = Library.open(library, create=True)
    failed: list[KinprintError] = []
    with step_bar() as progress:
        new = pull(wanted, opened, skip=failed.append, progress=progress)
    if new:
        opened.optimize()
    result = {
        "format": "kinprint-library-pull/1",
        "library": library,
        "set": wanted.where,
        "models": len(opened),
        "new": new,
        "failed": [str(error) for error in failed],
    }
    emit(as_json, lambda: result, lambda: f"{printable(library)}: {new} new from {printable(source)}; {len(opened)} models")
    stop_if(failed)
