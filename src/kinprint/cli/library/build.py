"""kinprint library build --library LIBRARY"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinprint.cli._gates import stop_if
from kinprint.cli._options import EngineOption, JsonOption, LibraryOption, QuickOption, WorkersOption
from kinprint.cli._output import emit
from kinprint.cli._progress import count_bar, tracked
from kinprint.errors import printable

if TYPE_CHECKING:
    from kinprint.engines import Outcome
    from kinprint.library.references.building import BuildPlan, Planned

FORMAT = "kinprint-library-build/1"


def command(
    library: LibraryOption,
    listed: Annotated[
        Path | None,
        typer.Option("--references", help="Another list of models (docs/references.md)."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this family; can be given several times.")] = None,
    quick: QuickOption = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be read and stored, then stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before reading.")] = False,
    keep: Annotated[bool, typer.Option(help="Leave what was read of each model in the cache.")] = False,
    engine: EngineOption = "threads",
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the reference library: fingerprints of well-known base models, read from the hub by byte ranges.

    Says first, from file listings alone, what will be read and stored. Models that are in the library are skipped, so that an
    interrupted build goes on. A model that cannot be read (many are gated) does not end it; the exit code is then 1. --json
    cannot ask, so it needs --yes or --dry-run.

    Example: kinprint library build --quick --only qwen2.5 --dry-run --library references
    """
    if as_json and not (yes or dry_run):
        raise typer.BadParameter("cannot ask: give --yes or --dry-run", param_hint="--json")
    from kinprint.library.references.building import build, plan
    from kinprint.library.references.listing import FILE, references
    from kinprint.library.store import Library

    wanted = references(listed or FILE, only or ())
    opened = Library.open(library, create=not dry_run) if not dry_run or os.path.isdir(library) else None
    with count_bar("listing") as progress:
        planned = plan(opened, wanted, quick=quick, progress=progress)
    typer.echo(_announced(planned, keep), err=True)
    outcomes: list[Outcome[Planned, str]] = []
    if not dry_run and planned.missing and opened is not None:
        if not yes:
            typer.confirm("Go on?", abort=True, err=True)
        results = build(opened, planned, engine=engine, workers=workers, keep=keep)
        outcomes = list(tracked(results, "measuring", len(planned.missing)))
    if as_json or not dry_run:
        emit(as_json, lambda: _as_json(library, planned, outcomes), lambda: _line(library, planned, outcomes))
    stop_if([*(error for _, error in planned.failed), *(outcome.error for outcome in outcomes if outcome.error is not None)])


def _announced(planned: BuildPlan, keep: bool) -> str:
    """What the build will read and store."""
    from rich.filesize import decimal

    stored = len(planned.planned) - len(planned.missing)
    how = "about 1 % of the weights" if planned.quick else "all weights"
    cache = "all of it stays in the cache" if keep else f"at most {decimal(planned.largest)} a model in the cache at a time"
    lines = [
        f"{len(planned.missing)} models to read, {stored} already there, {len(planned.failed)} that cannot be listed",
        f"to read: {decimal(planned.reads)} ({how}), by byte ranges; {cache}",
        f"to store: {decimal(planned.stores)} of fingerprints, roughly",
    ]
    return "\n".join(lines)


def _line(library: str, planned: BuildPlan, outcomes: list[Outcome[Planned, str]]) -> str:
    new = sum(outcome.error is None for outcome in outcomes)
    failed = len(planned.failed) + len(outcomes) - new
    unread = f", {failed} unreadable" if failed else ""
    return f"{printable(library)}: {new} new, {len(planned.planned) - len(planned.missing)} already there{unread}"


def _as_json(library: str, planned: BuildPlan, outcomes: list[Outcome[Planned, str]]) -> dict[str, Any]:
    failed = [*planned.failed, *((each.item.place, each.error) for each in outcomes if each.error is not None)]
    return {
        "format": FORMAT,
        "library": printable(library),
        "quick": planned.quick,
        "reads": planned.reads,
        "stores": planned.stores,
        "planned": [
            {"model": model.place, "reads": model.reads(planned.quick), "there": model.stored} for model in planned.planned
        ],
        "added": [{"model": each.item.place, "digest": each.result} for each in outcomes if each.error is None],
        "failed": [{"model": place, "error": str(error)} for place, error in failed],
    }
