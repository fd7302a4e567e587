"""kinprint library merge OTHER..."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kinprint.cli._library import LibraryOption, stop_if
from kinprint.errors import KinprintError, printable
from kinprint.library import Library

NAME = "merge"


def command(
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Libraries whose models are added.")],
    library: LibraryOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Add the models of other libraries to one, which is made if there is none. Each is there once, by its digest.

    Fingerprints that cannot be read are told and left out; the exit code is 1 then.

    Example: kinprint library merge theirs --library lib

    prints: lib: 2 new from theirs; 5 models
    """
    sources = [(other, Library.open(other)) for other in others]
    opened = Library.open(library, create=True)
    failed: list[KinprintError] = []
    new = {other: opened.merge(source, skip=failed.append) for other, source in sources}
    opened.optimize()
    if as_json:
        told = {"format": "kinprint-library-merge/1", "library": library, "models": len(opened), "new": new}
        typer.echo(json.dumps(told | {"failed": [str(error) for error in failed]}))
    else:
        came = ", ".join(f"{count} new from {printable(other)}" for other, count in new.items())
        typer.echo(f"{printable(library)}: {came}; {len(opened)} models")
    stop_if(failed)
