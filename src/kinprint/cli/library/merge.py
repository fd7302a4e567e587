"""kinprint library merge OTHER..."""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.cli._gates import stop_if
from kinprint.cli._options import JsonOption, LibraryOption
from kinprint.cli._output import emit
from kinprint.errors import KinprintError, printable


def command(
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Libraries whose models are added.")],
    library: LibraryOption,
    as_json: JsonOption = False,
) -> None:
    """Add the models of other libraries to one; a new one is made if there is none. Each model is stored once, by its digest.

    Fingerprints that cannot be read are listed and left out; the exit code is then 1.

    Example: kinprint library merge theirs --library lib

    prints: lib: 2 new from theirs; 5 models
    """
    from kinprint.library import Library

    sources = [(place, Library.open(place)) for place in others]
    opened = Library.open(library, create=True)
    failed: list[KinprintError] = []
    new = {place: opened.merge(source, skip=failed.append) for place, source in sources}
    opened.optimize()
    result = {
        "format": "kinprint-library-merge/1",
        "library": library,
        "models": len(opened),
        "new": new,
        "failed": [str(error) for error in failed],
    }
    came = ", ".join(f"{count} new from {printable(place)}" for place, count in new.items())
    emit(as_json, lambda: result, lambda: f"{printable(library)}: {came}; {result['models']} models")
    stop_if(failed)
