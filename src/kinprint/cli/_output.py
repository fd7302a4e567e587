"""What commands print on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

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
