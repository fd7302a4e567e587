"""kinprint library remove NAME|DIGEST..."""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.cli._options import JsonOption, LibraryOption
from kinprint.cli._output import emit
from kinprint.errors import printable


def command(
    models: Annotated[list[str], typer.Argument(metavar="NAME|DIGEST...", help="A name of several models is refused.")],
    library: LibraryOption,
    as_json: JsonOption = False,
) -> None:
    """Remove models from a library: all that are named, or none if one of them is not found. It does not ask.

    Example: kinprint library remove twin --library lib

    prints: removed twin (...)
    """
    from kinprint.library import Library

    removed = Library.open(library).remove(models)
    result = {
        "format": "kinprint-library-remove/1",
        "library": library,
        "removed": [{"name": model.name, "digest": model.digest} for model in removed],
    }
    lines = [f"removed {printable(model.name)} ({model.digest[:12]})" for model in removed]
    emit(as_json, lambda: result, lambda: "\n".join(lines))
