"""What commands share that use a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from kinprint.errors import KinprintError

LibraryOption = Annotated[
    str,
    typer.Option("--library", "-l", envvar="KINPRINT_LIBRARY", help="The library: a folder, or a URL (s3://, gs://)."),
]
"""Which library, of every command that uses one."""


def stop_if(failed: Sequence[KinprintError]) -> None:
    """Tell, a line each, what could not be read while the rest was done; exit code 1 if there is any."""
    for error in failed:
        Console(stderr=True, soft_wrap=True).print(Text(f"kinprint: {error}"))
    if failed:
        raise typer.Exit(1)
