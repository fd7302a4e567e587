"""kinprint library build --library LIBRARY"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinprint.cli._gates import stop_if
from kinprint.cli._options import EngineOption, JsonOption, LibraryOption, QuickOption, WorkersOption, unknown
from kinprint.cli._output import emit, require_writable
from kinprint.cli._progress import count_bar, tracked
from kinprint.errors import printable
from kinprint.terms import BASES

if TYPE_CHECKING:
    from kinprint.engines import Outcome
    from kinprint.library.references.building import BuildPlan, Planned
    from kinprint.library.references.manifest import Built
    from kinprint.library.references.pace import Pace

FORMAT = "kinprint-library-build/1"
SUPPOSED = 100_000_000
"""Bytes a second by which hours are told while nothing was measured; said beside them."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", re.IGNORECASE | re.ASCII)


def _bytes(text: str | None) -> str | None:
    """--max-bytes, checked; it stays text, since typer takes a callback's result as what the option is declared to be."""
    if text is not None and not _SIZE.fullmatch(text.strip()):
        raise typer.BadParameter("give a number of bytes, as 500GB or 1.5TB")
    return text


def command(
    library: LibraryOption,
    published: Annotated[
        str,
        typer.Option("--list", metavar="NAME", help="Which models: first (a hundred, in order) or references (all 248)."),
    ] = "references",
    listed: Annotated[
        Path | None,
        typer.Option("--references", help="Another list of models (docs/references.md)."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this family; can be given several times.")] = None,
    models: Annotated[int | None, typer.Option(min=1, help="Only so many models, the first of the list.")] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option(metavar="SIZE", callback=_bytes, help="Read no more than this, as 500GB; models that do not fit wait."),
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Begin no model that would end later than this, at the rate of those before.")
    ] = None,
    quick: QuickOption = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be read and stored, then stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before reading.")] = False,
    keep: Annotated[bool, typer.Option(help="Leave what was read of each model in the cache.")] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where each model is written down; kinprint-build.json in the library by default."),
    ] = None,
    engine: EngineOption = "threads",
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the reference library: fingerprints of well-known base models, read from the hub by byte ranges.

    Says first, from file listings alone, what will be read and stored and how many hours that takes, by the rate of an earlier
    build where there was one; then again after every model. Models that are in the library are skipped, so that an interrupted
    build, or one that ended with its bytes or hours, goes on. A model that cannot be read (many are gated) does not end it; the
    exit code is then 1. The manifest says of each model: commit, licence, digest, bytes and seconds, or why it is not there.
    --json cannot ask, so it needs --yes or --dry-run.

    Example: kinprint library build --list first --max-bytes 500GB --max-hours 48 --dry-run --library references
    """
    if as_json and not (yes or dry_run):
        raise typer.BadParameter("cannot ask: give --yes or --dry-run", param_hint="--json")
    if published not in BASES:
        raise unknown(published, "list", BASES, "--list")
    if manifest is not None:
        require_writable(manifest)
    from kinprint.library.references.building import build, plan
    from kinprint.library.references.listing import FILE, references
    from kinprint.library.references.manifest import NAME, Manifest
    from kinprint.library.references.pace import Pace
    from kinprint.library.store import Library

    wanted = references(listed or FILE.with_name(f"{published}.json"), only or ())[:models]
    where = manifest or (None if "://" in library else Path(library, NAME))
    written = Manifest(where) if where is not None else None
    pace = Pace(max_hours, written.rate(quick) if written is not None else None)
    opened = Library.open(library, create=not dry_run) if not dry_run or os.path.isdir(library) else None
    with count_bar("listing") as progress:
        planned = plan(opened, wanted, quick=quick, max_bytes=_counted(max_bytes), progress=progress)
    typer.echo(_announced(planned, pace, keep), err=True)
    outcomes: list[Outcome[Planned, Built]] = []
    if not dry_run and opened is not None:
        if planned.missing and not yes:
            typer.confirm("Go on?", abort=True, err=True)
        if written is not None:
            written.skip(_reasons(planned, ()))
        if planned.missing:
            pace = Pace(max_hours, pace.earlier)  # whoever is asked may take an hour to answer
            results = build(opened, planned, engine=engine, workers=workers, keep=keep, pace=pace, manifest=written)
            outcomes = list(_told(tracked(results, "measuring", len(planned.missing)), planned, pace))
            if written is not None:
                written.skip(_reasons(planned, outcomes))
    if as_json or not dry_run:
        emit(as_json, lambda: _as_json(library, planned, outcomes, pace), lambda: _line(library, planned, outcomes))
    stop_if([*(error for _, error in planned.failed), *(outcome.error for outcome in outcomes if outcome.error is not None)])


def _counted(text: str | None) -> int | None:
    """Bytes that were named."""
    found = _SIZE.fullmatch(text.strip()) if text is not None else None
    return round(float(found[1]) * _UNITS[found[2].lower()]) if found else None


def _announced(planned: BuildPlan, pace: Pace, keep: bool) -> str:
    """What the build will read and store."""
    from rich.filesize import decimal

    how = "about 1 % of the weights" if planned.quick else "all weights"
    cache = "all of it stays in the cache" if keep else f"at most {decimal(planned.largest)} a model in the cache at a time"
    left_out = f", {len(planned.too_large)} left out by --max-bytes" if planned.too_large else ""
    lines = [
        f"{len(planned.missing)} models to read, {len(planned.stored)} already there,"
        f" {len(planned.failed)} that cannot be listed{left_out}",
        f"to read: {decimal(planned.reads)} ({how}), by byte ranges; {cache}",
        f"to store: {decimal(planned.stores)} of fingerprints, roughly",
        f"time: {_hours(planned.reads, pace)}",
    ]
    return "\n".join(lines)


def _hours(nbytes: int, pace: Pace) -> str:
    """How long it will take, and how that is known."""
    from rich.filesize import decimal

    if pace.earlier is None:
        supposed = f"{_duration(nbytes / SUPPOSED)} if {decimal(SUPPOSED)} are read and measured in a second"
        return f"{supposed}; the first model will tell"
    return f"about {_duration(nbytes / pace.earlier)}, at the {decimal(round(pace.earlier))} a second of the last models"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def _told(results: Iterator[Outcome[Planned, Built]], planned: BuildPlan, pace: Pace) -> Iterator[Outcome[Planned, Built]]:
    """The outcomes; a line on stderr for each says how far the build is and how long the rest will take."""
    from rich.filesize import decimal

    waiting = planned.reads
    for outcome in results:
        waiting -= outcome.item.reads(planned.quick)
        if (built := outcome.result) is not None:
            left = pace.left(waiting)
            rest = f"; {decimal(waiting)} to go, {_duration(left)}" if waiting and left is not None else ""
            read = f"{decimal(built.bytes)} in {built.seconds:.1f} s"
            typer.echo(f"{printable(outcome.item.reference.id)}: {read}{rest}", err=True)
        yield outcome


def _left_out(planned: BuildPlan, outcomes: Sequence[Outcome[Planned, Built]]) -> dict[str, str]:
    """Id -> why a model that could be read was not."""
    found = {model.reference.id: "left out by --max-bytes: run again with more" for model in planned.too_large}
    late = [each.item.reference.id for each in outcomes if each.result is None and each.error is None]
    return found | dict.fromkeys(late, "not begun: it would have ended after --max-hours; run again")


def _reasons(planned: BuildPlan, outcomes: Sequence[Outcome[Planned, Built]]) -> dict[str, str]:
    """Id -> why a model is not in the library."""
    failed = {place.partition("@")[0]: f"{error.problem} ({error.remedy})" for place, error in planned.failed}
    unread = {each.item.reference.id: str(each.error) for each in outcomes if each.error is not None}
    return failed | unread | _left_out(planned, outcomes)


def _line(library: str, planned: BuildPlan, outcomes: list[Outcome[Planned, Built]]) -> str:
    new = sum(outcome.result is not None for outcome in outcomes)
    failed = len(planned.failed) + sum(outcome.error is not None for outcome in outcomes)
    unread = f", {failed} unreadable" if failed else ""
    left_out = len(_left_out(planned, outcomes))
    left = f", {left_out} left out" if left_out else ""
    return f"{printable(library)}: {new} new, {len(planned.stored)} already there{unread}{left}"


def _as_json(library: str, planned: BuildPlan, outcomes: list[Outcome[Planned, Built]], pace: Pace) -> dict[str, Any]:
    from dataclasses import asdict

    failed = [*planned.failed, *((each.item.place, each.error) for each in outcomes if each.error is not None)]
    rate = pace.rate
    return {
        "format": FORMAT,
        "library": printable(library),
        "quick": planned.quick,
        "reads": planned.reads,
        "stores": planned.stores,
        "bytes_per_second": None if rate is None else round(rate),
        "hours": None if rate is None else round(planned.reads / rate / 3600, 3),
        "planned": [
            {"model": model.place, "reads": model.reads(planned.quick), "there": model.stored} for model in planned.planned
        ],
        "added": [{"model": each.item.place, **asdict(each.result)} for each in outcomes if each.result is not None],
        "left_out": [{"model": name, "reason": reason} for name, reason in _left_out(planned, outcomes).items()],
        "failed": [{"model": place, "error": str(error)} for place, error in failed],
    }
