"""kinprint library remove NAME|DIGEST..."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kinprint.cli._library import LibraryOption
from kinprint.errors import printable
from kinprint.library import Library

NAME = "remove"


def command(
    models: Annotated[list[str], typer.Argument(metavar="NAME|DIGEST...", help="What means several models is refused.")],
    library: LibraryOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Remove models from a library: all that are named, or none if one of them is not found. It does not ask.

    Example: kinprint library remove twin --library lib

    prints: removed twin (...)
    """
    removed = Library.open(library).remove(models)
    if as_json:
        told = [{"name": model.name, "digest": model.digest} for model in removed]
        typer.echo(json.dumps({"format": "kinprint-library-remove/1", "library": library, "removed": told}))
        return
    for model in removed:
        typer.echo(f"removed {printable(model.name)} ({model.digest[:12]})")
