"""What commands print of their findings: for people, as JSON, or in a format that other programs read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kinprint.cli._output import emit
from kinprint.errors import ReportError, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kinprint.reports.findings import Acceptance, Findings


OF_ONE_MODEL = ("cyclonedx", "in-toto")
"""Formats that hold findings about one model."""


def chosen(form: str, as_json: bool, *, several: str = "", untested: str = "") -> str:
    """The format that --format and --json ask for, refused before the work if it cannot hold what the work will find.

    Args:
        several: the command, where its findings are about several models.
        untested: the command, where it tests no weights, which documents about a model are read as statements on.

    Raises:
        ReportError: the format holds what tests found of the weights of one model.
        MissingExtraError: the format takes a package that is not installed.
    """
    if as_json and form not in ("table", "json"):
        raise typer.BadParameter("--json asks for another: choose one", param_hint="--format")
    if several and form in OF_ONE_MODEL:
        raise ReportError(several, f"{form} is about one model", "use --format json, or examine the models one by one")
    if untested and form in OF_ONE_MODEL:
        problem = f"{form} states what tests found of a model's weights, and this tests none"
        raise ReportError(untested, problem, "use --format json; `kinprint compare` writes such documents")
    if form == "cyclonedx":
        from kinprint.reports import require_cyclonedx

        require_cyclonedx()
    return "json" if as_json else form


def acceptances(path: Path | None) -> tuple[Acceptance, ...]:
    """The entries of --accepted, read before the work whose findings they are about."""
    if path is None:
        return ()
    from kinprint.reports.findings import read_accepted

    return read_accepted(path)


def publish(
    found: Findings,
    form: str,
    text: Callable[[], RenderableType],
    accepted: tuple[Acceptance, ...] = (),
    more: Callable[[], dict[str, Any]] = dict,
) -> Findings:
    """Print the findings once.

    Args:
        form: "table" for people, "json", or one of `kinprint.terms.FORMATS`.
        text: gives what people read.
        accepted: what marks a finding as accepted.
        more: gives what JSON says of how the findings were made.

    Returns:
        the findings, accepted ones marked.
    """
    from kinprint.reports.findings import mark, rendered

    found, expired = mark(found, accepted, datetime.now(UTC).date())
    for entry in expired:
        typer.echo(f"kinprint: accepted until {entry.expires} and no longer: {printable(entry.relative)}", err=True)
    if form not in ("table", "json"):
        sys.stdout.write(rendered(found, form))
        return found
    said = [
        {"model": one.model.name, "relative": one.other.name, "reason": one.accepted[0], "expires": one.accepted[1].isoformat()}
        for one in found.findings
        if one.accepted is not None and one.other is not None
    ]
    emit(form == "json", lambda: {**found.document(), **more(), **({"accepted": said} if accepted else {})}, text)
    if form == "table":
        for one in said:
            typer.echo(f"accepted until {one['expires']}: {one['relative']} ({one['reason']})")
    return found
