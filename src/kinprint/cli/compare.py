"""kinprint compare REFERENCE SUSPECT"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._gates import stop_on
from kinprint.cli._models import epoch, hashed, read, retyped
from kinprint.cli._options import (
    PLACES,
    AlphaOption,
    AsOption,
    CacheOption,
    DeepOption,
    FailOnOption,
    HtmlOption,
    InTotoOption,
    JsonOption,
    PartOption,
    QuickOption,
    QuietOption,
    ScoresOption,
    SuspectArgument,
    TableOption,
    VerboseOption,
    given_tables,
    require_all_weights,
)
from kinprint.cli._output import emit, require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.terms import ALPHA

if TYPE_CHECKING:
    from kinprint.comparison import Comparison


def command(
    reference: Annotated[str, typer.Argument(help=f"The model that may be the ancestor: {PLACES}.")],
    suspect: SuspectArgument,
    as_json: JsonOption = False,
    fail_on: FailOnOption = None,
    deep: DeepOption = False,
    quick: QuickOption = False,
    scores: ScoresOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    part: PartOption = None,
    html: HtmlOption = None,
    cyclonedx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a CycloneDX bill of materials: SUSPECT, its files, its measured pedigree."),
    ] = None,
    in_toto: InTotoOption = None,
    alpha: AlphaOption = ALPHA,
    cache: CacheOption = True,
    as_type: AsOption = None,
    table: TableOption = None,
) -> None:
    """Say whether SUSPECT's weights come from REFERENCE's (or the other way round), with a p-value.

    Tests decide. Published scores (--scores) are shown with their caveats and never change the verdict.

    Example: kinprint compare examples/models/base examples/models/finetune

    prints what each test saw, and RELATED, "finetune and base share initial or trained weights ...". -v says what each test
    compared, and shows scores and context; -q prints one line: verdict, p-value, names. --html report.html writes a page for
    people who will check the result: null hypotheses, pictures, digests of every file. --cyclonedx finetune.cdx.json and
    --in-toto finetune.intoto.json write documents for other programs. --part "vision tower" gives verdict and exit code for
    that part alone; its p-value stays corrected for all tests of the pair.
    """
    require_all_weights(quick, deep=deep, scores=scores)
    if part is not None and (cyclonedx is not None or in_toto is not None):
        raise typer.BadParameter("documents for other programs speak of whole models", param_hint="--part")
    if verbose and quiet:
        raise typer.BadParameter("not with --verbose: choose one", param_hint="--quiet")
    made = epoch()
    require_there(reference, suspect)
    require_writable(html, cyclonedx, in_toto)
    from kinprint.comparison import both, examine
    from kinprint.comparison.replay import Options, record
    from kinprint.reports import comparison_line, comparison_text, require_cyclonedx

    if cyclonedx is not None:
        require_cyclonedx()
    tables = given_tables(as_type, table)
    measure = partial(read, quick=quick, scores=scores, cache=cache)
    fingerprints, weights = both(reference, suspect, measure, deep=deep, given=tables)
    with step_bar() as progress:
        comparison = examine(fingerprints, weights, alpha=alpha, scores=scores, cache=cache, progress=progress)
    if part is not None:
        from kinprint.comparison.one_part import one_part

        comparison = one_part(comparison, part)
    if as_json or not quiet:
        asked = Options(deep, quick, scores, alpha, part)
        emit(
            as_json,
            lambda: comparison.to_json() | {"made": record(comparison, asked, retyped()["when"])},
            lambda: comparison_text(comparison, everything=verbose, scores=scores),
        )
    else:
        typer.echo(comparison_line(comparison))
    if any(path is not None for path in (html, cyclonedx, in_toto)):
        _write(comparison, (reference, suspect), made, html, cyclonedx, in_toto)
    stop_on(fail_on, comparison.verdict)


def _write(
    comparison: Comparison,
    places: tuple[str, str],
    made: datetime | None,
    html: Path | None,
    cyclonedx: Path | None,
    in_toto: Path | None,
) -> None:
    """Write the reports that name every file by its digest, those that are wanted."""
    from kinprint.reports import cyclonedx_bom, in_toto_statement
    from kinprint.reports.comparison_html import comparison_html

    files = {"reference": hashed(places[0]), "suspect": hashed(places[1])}
    write(html, lambda: comparison_html(comparison, files=files, **retyped()))
    write(cyclonedx, lambda: cyclonedx_bom(comparison, files, made))
    write(in_toto, lambda: in_toto_statement(comparison, files, made))
