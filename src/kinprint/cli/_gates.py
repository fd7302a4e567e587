"""Exit codes that say something about a result."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from kinprint.errors import KinprintError
from kinprint.terms import Verdict

FAILED = 3
"""Exit code of --fail-on."""


def stop_on(fail_on: str | None, verdict: Verdict) -> None:
    """End with FAILED if the verdict is the one that was given; `related` stands for identical weights too."""
    if fail_on is not None and verdict in (("related", "identical") if fail_on == "related" else (fail_on,)):
        raise typer.Exit(FAILED)


def stop_if(failed: Sequence[KinprintError]) -> None:
    """Print a line for everything that could not be read; exit code 1 if there is any."""
    for error in failed:
        typer.echo(f"kinprint: {error}", err=True)
    if failed:
        raise typer.Exit(1)
