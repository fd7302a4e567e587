"""kinprint compare REFERENCE SUSPECT"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._findings import acceptances, chosen, publish
from kinprint.cli._gates import stop_on
from kinprint.cli._models import called, epoch, hashed, read, retyped, say_deep
from kinprint.cli._options import (
    PLACES,
    AcceptedOption,
    AlphaOption,
    AsOption,
    AuthorOption,
    CacheOption,
    CaseOption,
    DeepOption,
    FailOnOption,
    FormatOption,
    HtmlOption,
    InTotoOption,
    JsonOption,
    NameOption,
    PartOption,
    QuickOption,
    QuietOption,
    ReferenceNameOption,
    ScoresOption,
    SuspectArgument,
    TableOption,
    VerboseOption,
    given_tables,
    require_all_weights,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.terms import ALPHA

if TYPE_CHECKING:
    from kinprint.checkpoints.hashes import FileHash
    from kinprint.comparison import Comparison


def command(
    reference: Annotated[str, typer.Argument(help=f"The model that may be the ancestor: {PLACES}.")],
    suspect: SuspectArgument,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    accepted: AcceptedOption = None,
    fail_on: FailOnOption = None,
    deep: DeepOption = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --deep: torch computes large products there, as cuda or cuda:1, not numpy."),
    ] = None,
    name: NameOption = None,
    reference_name: ReferenceNameOption = None,
    quick: QuickOption = False,
    scores: ScoresOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    part: PartOption = None,
    html: HtmlOption = None,
    case: CaseOption = "",
    author: AuthorOption = "",
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
    if device is not None and not deep:
        raise typer.BadParameter("only --deep computes there: add it", param_hint="--device")
    if part is not None and (cyclonedx is not None or in_toto is not None or form in ("cyclonedx", "in-toto")):
        raise typer.BadParameter("documents for other programs speak of whole models", param_hint="--part")
    if verbose and quiet:
        raise typer.BadParameter("not with --verbose: choose one", param_hint="--quiet")
    form = chosen(form, as_json)
    made = epoch()
    require_there(reference, suspect)
    require_writable(html, cyclonedx, in_toto)
    known = acceptances(accepted)
    from kinprint.comparison import both, examine
    from kinprint.comparison.replay import Options, record
    from kinprint.matching.device import on
    from kinprint.reports import comparison_line, comparison_text, require_cyclonedx
    from kinprint.reports.findings import of_comparison

    if cyclonedx is not None:
        require_cyclonedx()
    tables = given_tables(as_type, table)
    measure = partial(read, quick=quick, scores=scores, cache=cache)
    ahead = partial(say_deep, scores=scores)
    with on(device):
        fingerprints, weights = both(reference, suspect, measure, deep=deep, given=tables, ahead=ahead)
        pair = called(fingerprints[0], reference_name), called(fingerprints[1], name)
        with step_bar() as progress:
            comparison = examine(pair, weights, alpha=alpha, scores=scores, cache=cache, progress=progress)
    if part is not None:
        from kinprint.comparison.one_part import one_part

        comparison = one_part(comparison, part)
    said = retyped(case, author)
    documents = _Documents(comparison, (reference, suspect), made, said)
    own = {"cyclonedx": documents.cyclonedx, "in-toto": documents.in_toto}
    found = of_comparison(comparison, (reference, suspect), lambda: documents.files["suspect"], own)
    asked = Options(deep, quick, scores, alpha, part)
    found = publish(
        found,
        form,
        lambda: comparison_line(comparison) if quiet else comparison_text(comparison, everything=verbose, scores=scores),
        known,
        lambda: {"made": record(comparison, asked, said["when"])},
    )
    write(html, documents.html)
    write(cyclonedx, documents.cyclonedx)
    write(in_toto, documents.in_toto)
    stop_on(fail_on, comparison.verdict, found)


class _Documents:
    """Documents of a comparison that name every file by its digest; files are read when the first is made."""

    def __init__(self, comparison: Comparison, places: tuple[str, str], made: datetime | None, said: dict[str, str]) -> None:
        self._comparison, self._places, self._made, self._said = comparison, places, made, said

    @cached_property
    def files(self) -> dict[str, tuple[FileHash, ...]]:
        return {side: hashed(place) for side, place in zip(("reference", "suspect"), self._places, strict=True)}

    def html(self) -> str:
        from kinprint.reports.comparison_html import comparison_html

        return comparison_html(self._comparison, files=self.files, **self._said)

    def cyclonedx(self) -> str:
        from kinprint.reports import cyclonedx_bom

        return cyclonedx_bom(self._comparison, self.files, self._made)

    def in_toto(self) -> str:
        from kinprint.reports import in_toto_statement

        return in_toto_statement(self._comparison, self.files, self._made)
