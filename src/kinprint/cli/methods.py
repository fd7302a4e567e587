"""kinprint methods"""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from kinprint.methods import known
from kinprint.reports import methods_text

NAME = "methods"


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False) -> None:
    """List every method: kind, what it compares and needs, its null hypothesis or known failure, its source.

    Example: kinprint methods
    """
    if as_json:
        typer.echo(json.dumps([method.to_json() for method in known()]))
    else:
        Console().print(methods_text(known()))
