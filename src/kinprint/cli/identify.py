"""kinprint identify SUSPECT --library DIR"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kinprint.cli._gates import require_alpha, require_verdict, stop_on
from kinprint.cli._models import comparing, read, retyped
from kinprint.comparison import ALPHA
from kinprint.errors import KinprintError, printable
from kinprint.library.identify import CANDIDATES, FORMAT, Identification, identify
from kinprint.library.watch import INTERVAL, SETTLED, arrivals
from kinprint.reports import write_text
from kinprint.reports.identification_html import identification_html
from kinprint.reports.identification_terminal import identification_text

NAME = "identify"


def command(
    suspect: Annotated[
        str | None, typer.Argument(help="The model: folder, file, hub id, BASE+ADAPTER or .kinprint file.", show_default=False)
    ] = None,
    library: Annotated[str, typer.Option(help="The library: a folder, or a URL of object storage.")] = "",
    candidates: Annotated[
        int, typer.Option(min=1, help="Models that are tested; all of a library that has no more.")
    ] = CANDIDATES,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object (--watch: one a line) and nothing else.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit with 3 on this verdict: related (or identical), identical, no-evidence, untestable."),
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(help="Identify every model that is in this folder or arrives there, until Ctrl-C.")
    ] = None,
    settled: Annotated[
        float, typer.Option(min=0, help="--watch: seconds for which nothing of a model has changed before it is read.")
    ] = SETTLED,
    quick: Annotated[
        bool,
        typer.Option(help="Read about 1 % of the weights; heads, and copies in disguise without gated neurons, are not seen."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one page that needs no network.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Largest corrected p-value that is called related.")] = ALPHA,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
) -> None:
    """Find SUSPECT's relatives in a library, with p-values corrected for all models that were searched.

    The nearest models by index vectors are tested; tests decide.

    Example: kinprint library add --library models.lib examples/models/base examples/models/twin &&
    kinprint identify examples/models/finetune --library models.lib

    prints "finetune shares initial or trained weights with base ..." and what was searched.
    """
    _check_use(suspect, library, watch, fail_on, alpha)
    from kinprint.library import Library

    opened = Library.open(library)

    def identified(model: str) -> Identification:
        fingerprint = read(model, quick=quick, cache=cache)
        with comparing() as progress:
            return identify(fingerprint, opened, candidates=candidates, alpha=alpha, progress=progress)

    if watch is not None:
        try:
            for path in arrivals(watch, settled=settled, interval=min(INTERVAL, max(settled, 0.1))):
                _line(path, identified, as_json)
        except KeyboardInterrupt:
            return  # the way a watch ends
    assert suspect is not None
    found = identified(suspect)
    if html is not None:
        write_text(html, identification_html(found, **retyped()))
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
    else:
        Console().print(identification_text(found))
    stop_on(fail_on, found.verdict)


def _check_use(suspect: str | None, library: str, watch: Path | None, fail_on: str | None, alpha: float) -> None:
    if (suspect is None) == (watch is None):
        raise typer.BadParameter("give a model or --watch FOLDER, one of the two", param_hint="SUSPECT")
    if not library:
        raise typer.BadParameter("say where the library is", param_hint="--library")
    require_verdict(fail_on)
    if fail_on is not None and watch is not None:
        raise typer.BadParameter("a watch has no verdict", param_hint="--fail-on")
    require_alpha(alpha)


def _line(path: Path, identified: Any, as_json: bool) -> None:
    """Identify one model and print one line; one that cannot be read says so and does not end the watch."""
    try:
        found = identified(str(path))
        line = json.dumps(found.to_json(), allow_nan=False) if as_json else printable(found.sentence(), 1000)
    except KinprintError as error:
        suspect = {"name": printable(path.name), "source": str(path), "digest": None}
        line = json.dumps({"format": FORMAT, "suspect": suspect, "error": str(error)}) if as_json else f"unreadable: {error}"
    if as_json:
        typer.echo(line)
    else:
        Console(soft_wrap=True).print(Text(line))
