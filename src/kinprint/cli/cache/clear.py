"""kinprint cache clear"""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from kinprint.cli._options import unknown
from kinprint.cli.cache._kinds import KINDS, kept
from kinprint.errors import ReportError


def command(
    kinds: Annotated[list[str] | None, typer.Argument(help=f"What to remove: {', '.join(KINDS)}; all by default.")] = None,
) -> None:
    """Remove what kinprint keeps on this disk. Models are measured, compared and fetched anew where they are needed again.

    Nothing but kinprint's own folders inside the cache folder is touched. Libraries are no cache, and stay.

    Example: kinprint cache clear remote

    prints how many files were removed, and how many bytes that were.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise unknown(kind, "kind", tuple(KINDS), "KINDS")
    from rich.filesize import decimal

    for kind in dict.fromkeys(kinds or KINDS):
        there = kept(kind)
        try:
            if there.folder.is_dir():
                shutil.rmtree(there.folder)
        except OSError as error:
            raise ReportError(there.folder, f"cannot be removed: {error.strerror or error}", "remove it by hand") from error
        typer.echo(f"{kind}: {there.files:,} files removed, {decimal(there.nbytes)}")
