"""kinprint library export DIR"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kinprint.cli._library import LibraryOption, stop_if
from kinprint.errors import KinprintError, printable
from kinprint.library import Library

NAME = "export"


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the files, made if it is missing.")],
    library: LibraryOption,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model (name or digest); may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Write the fingerprints of a library as `.kinprint` files, named after their models.

    Fingerprints that cannot be read are told and left out; the exit code is 1 then.

    Example: kinprint library export files --library lib

    prints: files: 3 files
    """
    failed: list[KinprintError] = []
    written = Library.open(library).export(folder, model, skip=failed.append)
    if as_json:
        told = {"format": "kinprint-library-export/1", "library": library, "files": [str(file) for file in written]}
        typer.echo(json.dumps(told | {"failed": [str(error) for error in failed]}))
    else:
        typer.echo(f"{printable(folder)}: {len(written)} files")
    stop_if(failed)
