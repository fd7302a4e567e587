"""kinprint library build -o LIBRARY"""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from kinprint.errors import KinprintError, printable
from kinprint.library.references.building import Plan, build, plan
from kinprint.library.references.listing import FILE, references
from kinprint.library.store import Library

NAME = "build"
FORMAT = "kinprint-library-build/1"
COLUMNS = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()


def command(
    output: Annotated[str, typer.Option("-o", "--output", help="The library: a folder, or a URL. Made if there is none.")],
    listed: Annotated[Path, typer.Option("--list", help="A list of models (docs/references.md).", show_default=False)] = FILE,
    only: Annotated[list[str] | None, typer.Option(help="Only this family; can be given several times.")] = None,
    quick: Annotated[bool, typer.Option(help="Read about 1 % of each model's weights.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be read and stored, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before reading.")] = False,
    keep: Annotated[bool, typer.Option(help="Leave what was read of each model in the cache.")] = False,
    engine: Annotated[str, typer.Option(help="Where models are measured: threads, ...")] = "threads",
    workers: Annotated[int | None, typer.Option(min=1, help="Models measured at once.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else; needs --yes or --dry-run.")
    ] = False,
) -> None:
    """Make the reference library: fingerprints of well-known base models, read from the hub by byte ranges.

    Says first, from file listings alone, what will be read and stored. Models that are in the library are passed over, so that
    an interrupted build goes on. A model that cannot be read (many are gated) does not end it; the exit code is 1 then.

    Example: kinprint library build --quick --only qwen2.5 --dry-run -o references
    """
    if as_json and not (yes or dry_run):
        raise typer.BadParameter("cannot ask: give --yes or --dry-run", param_hint="--json")
    wanted = references(listed, only or ())
    library = Library.open(output, create=not dry_run) if not dry_run or os.path.isdir(output) else None
    with Progress(*COLUMNS, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("listing", total=len(wanted))
        found = plan(library, wanted, quick=quick, progress=lambda done, total: bars.update(bar, completed=done))
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text(_told(found, keep)))
    failed: list[tuple[str, KinprintError]] = list(found.failed)
    added: list[dict[str, Any]] = []
    if not dry_run and found.missing and library is not None:
        if not yes:
            typer.confirm("Go on?", abort=True, err=True)
        with (
            closing(build(library, found, engine=engine, workers=workers, keep=keep)) as outcomes,  # type: ignore[type-var]
            Progress(*COLUMNS, console=Console(stderr=True), transient=True) as bars,
        ):
            for outcome in bars.track(outcomes, total=len(found.missing), description="measuring"):
                if outcome.error is not None:
                    failed.append((outcome.item.place, outcome.error))
                else:
                    added.append({"model": outcome.item.place, "digest": outcome.result})
    for _, error in failed:
        console.print(Text(f"kinprint: {error}"))
    if as_json:
        typer.echo(json.dumps(_as_json(output, found, added, failed)))
    elif not dry_run:
        there = len(found.planned) - len(found.missing)
        unread = f", {len(failed)} unreadable" if failed else ""
        typer.echo(f"{printable(output)}: {len(added)} new, {there} already there{unread}")
    if failed:
        raise typer.Exit(1)


def _told(found: Plan, keep: bool) -> str:
    """What the build will read and store."""
    there = len(found.planned) - len(found.missing)
    how = "about 1 % of the weights" if found.quick else "all weights"
    cache = "all of it stays in the cache" if keep else f"at most {decimal(found.largest)} a model in the cache at a time"
    lines = [
        f"{len(found.missing)} models to read, {there} already there, {len(found.failed)} that cannot be listed",
        f"to read: {decimal(found.reads)} ({how}), by byte ranges; {cache}",
        f"to store: {decimal(found.stores)} of fingerprints, roughly",
    ]
    return "\n".join(lines)


def _as_json(output: str, found: Plan, added: list[dict[str, Any]], failed: list[tuple[str, KinprintError]]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "library": printable(output),
        "quick": found.quick,
        "reads": found.reads,
        "stores": found.stores,
        "planned": [{"model": one.place, "reads": one.reads(found.quick), "there": one.there} for one in found.planned],
        "added": added,
        "failed": [{"model": place, "error": str(error)} for place, error in failed],
    }
