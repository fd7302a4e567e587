"""kinprint benchmark [PAIRS | --zoo DIR | --list NAME]"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinprint.cli._options import CacheOption, DeepOption, HtmlOption, JobsOption, QuestionsOption, QuickOption, unknown
from kinprint.cli._output import emit, require_writable
from kinprint.cli._progress import count_bars, step_bar
from kinprint.errors import ReportError
from kinprint.terms import LISTS

if TYPE_CHECKING:
    from kinprint.benchmark import BenchmarkResult, Pairs, Summary
    from kinprint.fingerprints import Fingerprint


def command(
    pairs: Annotated[Path | None, typer.Argument(help="A JSON list of labelled pairs (see docs/benchmarking.md).")] = None,
    zoo: Annotated[Path | None, typer.Option(help="A zoo: every pair of its models, labelled by its lineage.")] = None,
    published_list: Annotated[
        str | None,
        typer.Option("--list", metavar="NAME", help=f"A published list of pairs of hub models: {', '.join(LISTS)}."),
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON; `-` for stdout alone.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown, its pictures beside it.")] = None,
    html: HtmlOption = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Write, or update, the values that unrelated pairs reach by each score; `compare` shows them."),
    ] = None,
    observe: Annotated[bool, typer.Option(help="Also run every model on the probe set, and compare what they do.")] = False,
    questions: QuestionsOption = 60,
    deep: DeepOption = False,
    quick: QuickOption = False,
    jobs: JobsOption = 1,
    cache: CacheOption = True,
) -> None:
    """Run every method on labelled pairs: what it finds, whom it accuses, how its p-values hold, how long it takes.

    Times are truest with --jobs 1. With --observe, --questions are the slowest part. --list reads models from the hub by byte
    ranges, says before how many bytes that are, and goes on where an earlier run ended.

    Example: kinprint benchmark --zoo zoo --markdown docs/benchmark.md

    prints a table of methods with AUC, share found, share accused and time, then every failure by name.
    """
    if sum(given is not None for given in (pairs, zoo, published_list)) != 1:
        raise typer.BadParameter("give a list of PAIRS, --zoo DIR or --list NAME, one of them", param_hint="PAIRS")
    if published_list is not None and published_list not in LISTS:
        raise unknown(published_list, "list", LISTS, "--list")
    if quick and (deep or observe):
        raise typer.BadParameter("--deep and --observe take whole models: choose one", param_hint="--quick")
    require_writable(*(path for path in (as_json, markdown, html, calibration) if str(path) != "-"))
    from kinprint import benchmark, reports
    from kinprint.reports.benchmark_json import benchmark_json

    if published_list is not None:
        wanted = benchmark.published(published_list).pairs
        _announce(wanted, quick)
    else:
        wanted = benchmark.from_zoo(zoo) if zoo is not None else benchmark.from_list(str(pairs))
    open_model = partial(_observed, questions=questions, cache=cache) if observe else None
    result = _run(wanted, deep=deep, quick=quick, jobs=jobs, cache=cache, open_model=open_model)
    summary = benchmark.Summary(result)
    emit(str(as_json) == "-", lambda: benchmark_json(summary), lambda: reports.benchmark_text(summary))
    _write(summary, as_json if str(as_json) != "-" else None, markdown, html)
    if calibration is not None:
        earlier = _earlier(calibration)
        reports.write_text(calibration, json.dumps(benchmark.calibration(result, earlier), indent=1) + "\n")


def _announce(pairs: Pairs, quick: bool) -> None:
    """Say what will be read before anything is."""
    from rich.filesize import decimal

    from kinprint import benchmark

    with step_bar() as progress:
        seen = benchmark.ahead(pairs, lambda done, total: progress("asking the hub", done, total))
    how = "about 1 % of" if quick else "to read"
    typer.echo(f"{seen.models} of {len(pairs.models)} models: {how} {decimal(seen.nbytes)} of weights", err=True)
    if seen.missing:
        typer.echo(f"{len(seen.missing)} models cannot be had, their pairs are listed with the reason", err=True)


def _write(summary: Summary, as_json: Path | None, markdown: Path | None, html: Path | None) -> None:
    """Write the reports that are wanted."""
    from kinprint import reports
    from kinprint.reports.benchmark_html import benchmark_html
    from kinprint.reports.benchmark_json import benchmark_json
    from kinprint.reports.benchmark_markdown import benchmark_markdown

    if as_json is not None:
        reports.write_text(as_json, json.dumps(benchmark_json(summary), allow_nan=False) + "\n")
    if markdown is not None:
        for name, text in benchmark_markdown(summary, markdown.stem).items():
            reports.write_text(markdown.with_name(name) if name != markdown.stem else markdown, text)
    if html is not None:
        reports.write_text(html, benchmark_html(summary))


def _earlier(path: Path) -> dict[str, Any] | None:
    """What is measured already, where a file of an earlier run is brought up to date."""
    try:
        return dict(json.loads(path.read_text())) if path.exists() else None
    except (OSError, ValueError, TypeError) as error:
        raise ReportError(path, f"is there and no calibration ({error})", "name another file") from error


def _observed(place: str, questions: int, cache: bool) -> Fingerprint:
    """A model run over the probe set."""
    from kinprint import observation

    probe = observation.shipped()
    return observation.observe(place, observation.Request(replace(probe, questions=probe.questions[:questions])), cache=cache)


def _run(pairs: Pairs, **options: Any) -> BenchmarkResult:
    from kinprint import benchmark

    with count_bars() as bars:
        tasks = {stage: bars.add_task(stage, total=None) for stage in ("models", "pairs")}
        return benchmark.run(
            pairs,
            command=shlex.join(["kinprint", *map(_without_folder, sys.argv[1:])]),
            **options,
            progress=lambda stage, done, total: bars.update(tasks[stage], completed=done, total=total),
        )


def _without_folder(argument: str) -> str:
    """An absolute path by its last part: reports are published, and where things lay on this machine is nobody's concern."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + (Path(value).name if Path(value).is_absolute() else value)
