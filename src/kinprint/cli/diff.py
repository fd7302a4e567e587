"""kinprint diff REFERENCE SUSPECT"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._findings import chosen, publish
from kinprint.cli._models import retyped
from kinprint.cli._options import (
    AsOption,
    AuthorOption,
    CacheOption,
    CaseOption,
    FormatOption,
    HtmlOption,
    JsonOption,
    SuspectArgument,
    SvgOption,
    TableOption,
    given_tables,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import say_when_compiling, step_bar


def command(
    reference: Annotated[
        str, typer.Argument(help="The model that SUSPECT was made from: folder, file, hub id or BASE+ADAPTER.")
    ],
    suspect: SuspectArgument,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    html: HtmlOption = None,
    case: CaseOption = "",
    author: AuthorOption = "",
    svg: SvgOption = None,
    cache: CacheOption = True,
    as_type: AsOption = None,
    table: TableOption = None,
) -> None:
    """Say what changed from REFERENCE to SUSPECT, tensor by tensor, and what kind of change that is like.

    For models of which one was made from the other, or both from one. Shows for every tensor the share of entries that changed,
    the norm of the change against that of the weights, its rank, and what did not change at all. Layers that were left out or
    repeated, another vocabulary, relabelled units and other number types are looked through. The words are a description with a
    measured accuracy (docs/diff.md), and no test: `kinprint compare` says whether two models are related. Between strangers
    there is nothing to show: one line on stderr, exit code 1.

    Example: kinprint diff examples/models/base examples/models/finetune --html changes.html

    prints FINE-TUNE, "the layers changed by 0.17 of their norm ...", and a line for each role of tensors.
    """
    form = chosen(form, as_json, untested="diff")
    require_there(reference, suspect)
    require_writable(html, svg)
    tables = given_tables(as_type, table)
    say_when_compiling()
    from kinprint.difference import diff
    from kinprint.reports.difference_figures import difference_svg
    from kinprint.reports.difference_html import difference_html
    from kinprint.reports.difference_terminal import difference_text
    from kinprint.reports.findings import of_changes

    with step_bar() as progress:
        found = diff(reference, suspect, given=tables, cache=cache, progress=progress)
    publish(of_changes(found), form, lambda: difference_text(found))
    write(html, lambda: difference_html(found, **retyped(case, author)))
    write(svg, lambda: difference_svg(found))
