"""Exit codes that say something about a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from kinprint.errors import KinprintError
from kinprint.terms import Verdict

if TYPE_CHECKING:
    from kinprint.reports.findings import Findings

FAILED = 3
"""Exit code of --fail-on."""


def stop_on(fail_on: str | None, verdict: Verdict, found: Findings) -> None:
    """End with FAILED if the verdict is the one that was given; `related` stands for identical weights too.

    Args:
        found: the findings behind the verdict: those that are accepted close no gate.
    """
    if fail_on is None:
        return
    wanted = ("related", "identical") if fail_on == "related" else (fail_on,)
    if "identical" in wanted:
        if any(finding.word in wanted and finding.accepted is None for finding in found.findings):
            raise typer.Exit(FAILED)
    elif verdict in wanted:
        raise typer.Exit(FAILED)


def stop_if(failed: Sequence[KinprintError]) -> None:
    """Print a line for everything that could not be read; exit code 1 if there is any."""
    for error in failed:
        typer.echo(f"kinprint: {error}", err=True)
    if failed:
        raise typer.Exit(1)
