"""kinprint library export DIR"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.cli._gates import stop_if
from kinprint.cli._options import JsonOption, LibraryOption
from kinprint.cli._output import emit
from kinprint.errors import KinprintError, printable


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the files, made if it is missing.")],
    library: LibraryOption,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Only this model (name or digest); can be given several times.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the fingerprints of a library as `.kinprint` files, named after their models, and a manifest of them.

    The folder can be published as it is: `kinprint library pull` reads it from a folder, a hub or a web server.

    Fingerprints that cannot be read are listed and left out; the exit code is then 1.

    Example: kinprint library export files --library lib

    prints: files: 3 files
    """
    from kinprint.library import Library
    from kinprint.library.sets import write_manifest

    failed: list[KinprintError] = []
    written = Library.open(library).export(folder, model, skip=failed.append)
    write_manifest(folder, written)
    result = {
        "format": "kinprint-library-export/1",
        "library": library,
        "files": [str(file) for file in written],
        "failed": [str(error) for error in failed],
    }
    emit(as_json, lambda: result, lambda: f"{printable(folder)}: {len(written)} files")
    stop_if(failed)
