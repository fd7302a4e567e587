"""What commands print on stdout."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kinprint.errors import ReportError, printable

if TYPE_CHECKING:
    from rich.console import RenderableType


def emit(as_json: bool, to_json: Callable[[], Any], render: Callable[[], RenderableType]) -> None:
    """Print a result once: as one line of JSON, or for people.

    Args:
        as_json: which of the two.
        to_json: gives what JSON can hold.
        render: gives what rich prints; a plain string is printed as it is.
    """
    if as_json:
        typer.echo(json.dumps(to_json(), allow_nan=False))
        return
    shown = render()
    if isinstance(shown, str):
        typer.echo(shown)
    else:
        from rich.console import Console

        Console().print(shown)


def require_writable(*paths: Path | None) -> None:
    """Refuse files that cannot be written before the work whose results they shall hold.

    Raises:
        ReportError: one of them is a folder, or lies in none that is there and may be written to.
    """
    for path in paths:
        if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise ReportError(path, "cannot be written", "name a file in a folder that exists and that you may write to")


def write(path: Path | None, make: Callable[[], str]) -> None:
    """Write a report to a file, if one is wanted, and say so on stderr."""
    if path is None:
        return
    from kinprint.reports import write_text

    write_text(path, make())
    typer.echo(f"wrote {printable(path)}", err=True)
