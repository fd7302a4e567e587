"""kinprint identify SUSPECT --library DIR"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._findings import acceptances, chosen, publish
from kinprint.cli._gates import stop_on
from kinprint.cli._models import called, hashed, read, retyped
from kinprint.cli._options import (
    PLACES,
    AcceptedOption,
    AlphaOption,
    AuthorOption,
    CacheOption,
    CaseOption,
    FailOnOption,
    FormatOption,
    HtmlOption,
    JsonOption,
    LibraryOption,
    NameOption,
    PartOption,
    QuickOption,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.cli._webhook import require_address, send
from kinprint.errors import KinprintError, printable
from kinprint.terms import ALPHA, CANDIDATES, SETTLED

if TYPE_CHECKING:
    from kinprint.library.identify import Identification

    Identify = Callable[[str], Identification]


def command(
    library: LibraryOption,
    suspect: Annotated[str | None, typer.Argument(help=f"The model that is examined: {PLACES}.", show_default=False)] = None,
    candidates: Annotated[
        int, typer.Option(min=1, help="How many models to test; all of them if the library has no more.")
    ] = CANDIDATES,
    test_all: Annotated[
        bool, typer.Option("--all", help="Test the other candidates too where one holds the same weights as SUSPECT.")
    ] = False,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    accepted: AcceptedOption = None,
    fail_on: FailOnOption = None,
    watch: Annotated[
        Path | None, typer.Option(help="Identify every model that is in this folder or arrives there, until Ctrl-C.")
    ] = None,
    all_local: Annotated[
        bool, typer.Option("--all-local", help="Identify every model of the hub's cache, Ollama and LM Studio on this machine.")
    ] = False,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="With --watch or --all-local: post every result there too, as JSON."),
    ] = None,
    settled: Annotated[
        float, typer.Option(min=0, help="With --watch: read a model once it has not changed for so many seconds.")
    ] = SETTLED,
    name: NameOption = None,
    quick: QuickOption = False,
    part: PartOption = None,
    html: HtmlOption = None,
    case: CaseOption = "",
    author: AuthorOption = "",
    alpha: AlphaOption = ALPHA,
    cache: CacheOption = True,
) -> None:
    """Find SUSPECT's relatives in a library, with p-values corrected for all models that were searched.

    The nearest models by index vectors are tested, the likeliest first; tests decide. A model with the same weights as SUSPECT
    needs no test, and ends the search unless --all is given; if it has the same name too, it is SUSPECT itself. P-values are
    multiplied by the number of models in the library, tested or not, so neither option changes one. A vision tower is found
    inside whatever model holds it; --part "vision tower" looks for nothing else. With --watch and --all-local, --json prints
    one object a line, and --webhook posts it (docs/pipelines.md).

    Example: kinprint library add --library models.lib examples/models/base examples/models/twin &&
    kinprint identify examples/models/finetune --library models.lib

    prints "finetune shares initial or trained weights with base ..." and what was searched.
    """
    if (suspect is not None) + (watch is not None) + all_local != 1:
        raise typer.BadParameter("give a model, --watch FOLDER or --all-local, one of the three", param_hint="SUSPECT")
    if fail_on is not None and suspect is None:
        raise typer.BadParameter("takes one model", param_hint="--fail-on")
    for option, given in (("--html", html), ("--name", name)):
        if given is not None and suspect is None:
            raise typer.BadParameter("takes one model", param_hint=option)
    form = chosen(form, as_json)
    if form not in ("table", "json") and suspect is None:
        raise typer.BadParameter("--watch and --all-local print a line a model, as table or json", param_hint="--format")
    if webhook is not None:
        if suspect is not None:
            raise typer.BadParameter("goes with --watch or --all-local", param_hint="--webhook")
        require_address(webhook)
    if suspect is not None:
        require_there(suspect)
    require_writable(html)
    known = acceptances(accepted)
    from kinprint.library import Library
    from kinprint.library.identify import identify

    opened = Library.open(library)

    def identified(model: str) -> Identification:
        fingerprint = called(read(model, quick=quick, cache=cache), name)
        with step_bar() as progress:
            return identify(
                fingerprint,
                opened,
                candidates=candidates,
                alpha=alpha,
                test_all=test_all,
                part=part,
                cache=cache,
                progress=progress,
            )

    if watch is not None:
        _watch(watch, settled, identified, form == "json", webhook)
    if all_local:
        _all_local(identified, form == "json", webhook)
    if suspect is not None:
        identification = identified(suspect)
        from kinprint.reports.findings import of_identification
        from kinprint.reports.identification_html import identification_html
        from kinprint.reports.identification_terminal import identification_text

        found = of_identification(identification, suspect, lambda: hashed(suspect))
        found = publish(found, form, lambda: identification_text(identification), known)
        write(html, lambda: identification_html(identification, **retyped(case, author)))
        stop_on(fail_on, identification.verdict, found)


def _watch(folder: Path, settled: float, identified: Identify, as_json: bool, webhook: str | None) -> None:
    """Identify what is in a folder and what arrives there, until the user interrupts."""
    from kinprint.library.watch import INTERVAL, arrivals

    try:
        for path in arrivals(folder, settled=settled, interval=min(INTERVAL, max(settled, 0.1))):
            _line(str(path), identified, as_json, webhook)
    except KeyboardInterrupt:
        return


def _all_local(identified: Identify, as_json: bool, webhook: str | None) -> None:
    """Identify every model that other programs keep on this disk."""
    from kinprint.library.on_this_disk import local_models

    found = list(local_models())
    if not found:
        typer.echo("no models found: see `kinprint models`", err=True)
    for model in found:
        _line(model.name, identified, as_json, webhook)


def _line(model: str, identified: Identify, as_json: bool, webhook: str | None) -> None:
    """Identify one model, print one line and post it; one that cannot be read says so, and neither ends the run."""
    from kinprint.library.identify import FORMAT

    try:
        identification = identified(model)
        document = identification.to_json()
        sentence = printable(identification.sentence(), 1000)
    except KinprintError as error:
        suspect = {"name": printable(Path(model).name), "source": model, "digest": None}
        document = {"format": FORMAT, "suspect": suspect, "error": str(error)}
        sentence = f"unreadable: {error}"
    typer.echo(json.dumps(document, allow_nan=False) if as_json else sentence)
    problem = None if webhook is None else send(webhook, document)
    if problem is not None:
        typer.echo(f"kinprint: {printable(model)}: not delivered, {printable(problem, 200)}", err=True)
