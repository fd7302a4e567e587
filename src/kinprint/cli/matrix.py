"""kinprint matrix MODEL..."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._findings import acceptances, chosen, publish
from kinprint.cli._models import read, retyped
from kinprint.cli._options import (
    PLACES,
    AcceptedOption,
    AlphaOption,
    AuthorOption,
    CacheOption,
    CaseOption,
    FormatOption,
    HtmlOption,
    JsonOption,
    OptionalLibraryOption,
    QuickOption,
    SvgOption,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.terms import ALPHA


def command(
    models: Annotated[
        list[str] | None, typer.Argument(help=f"Two models or more, each a {PLACES}.", show_default=False)
    ] = None,
    library: OptionalLibraryOption = None,
    quick: QuickOption = False,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    accepted: AcceptedOption = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one pair a line: names, verdict, log10 p.")] = None,
    svg: SvgOption = None,
    html: HtmlOption = None,
    case: CaseOption = "",
    author: AuthorOption = "",
    alpha: AlphaOption = ALPHA,
    cache: CacheOption = True,
) -> None:
    """Compare every pair of models: verdict and p-value of each, corrected for the number of pairs, ordered by family.

    Takes all models of a library, and those that are named. What tests said is kept, so a run that was stopped goes on where it
    was (--no-cache keeps nothing). `kinprint tree` tests fewer pairs, and says who stands between whom.

    Example: kinprint matrix examples/models/base examples/models/finetune examples/models/twin --csv pairs.csv

    prints a square of verdicts, and "1 of 3 pairs of 3 models share weights, in 1 family."
    """
    if not models and library is None:
        raise typer.BadParameter("give two models or more, or --library", param_hint="MODELS")
    require_there(*(models or ()))
    form = chosen(form, as_json, several="matrix")
    require_writable(csv, svg, html)
    known = acceptances(accepted)
    from kinprint.reports.findings import of_matrix
    from kinprint.reports.matrix_html import matrix_html
    from kinprint.reports.matrix_svg import matrix_svg
    from kinprint.reports.matrix_terminal import matrix_text
    from kinprint.verbs import matrix

    fingerprints = [read(model, quick=quick, cache=cache) for model in models or ()]
    with step_bar() as progress:
        found = matrix(fingerprints, library=library, alpha=alpha, cache=cache, progress=progress)
    if len(found.names) < 2:
        raise typer.BadParameter("a matrix takes two models or more", param_hint="MODELS")
    publish(of_matrix(found), form, lambda: matrix_text(found), known)
    write(csv, found.csv)
    write(svg, lambda: matrix_svg(found))
    write(html, lambda: matrix_html(found, **retyped(case, author)))
