"""kinprint compare REFERENCE SUSPECT"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kinprint.cli._gates import require_alpha, require_verdict, stop_on
from kinprint.cli._models import comparing, epoch, hashed, read, retyped
from kinprint.comparison import ALPHA, both, examine
from kinprint.reports import (
    comparison_html,
    comparison_text,
    cyclonedx_bom,
    in_toto_statement,
    require_cyclonedx,
    write_text,
)

NAME = "compare"


def command(
    reference: Annotated[
        str, typer.Argument(help="The model that may be the ancestor: folder, file, hub id, BASE+ADAPTER or .kinprint file.")
    ],
    suspect: Annotated[str, typer.Argument(help="The model that is examined.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit with 3 on this verdict: related (or identical), identical, no-evidence, untestable."),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            help="Add the methods that need both checkpoints (see `kinprint methods`): copies disguised and trained on, too."
        ),
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(help="Read about 1 % of the weights; heads, and copies in disguise without gated neurons, are not seen."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one page that needs no network.")
    ] = None,
    cyclonedx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a CycloneDX bill of materials: SUSPECT, its files, its measured pedigree."),
    ] = None,
    in_toto: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an in-toto statement about SUSPECT's files, ready to be signed."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Largest combined p-value that is called related.")] = ALPHA,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
) -> None:
    """Say whether SUSPECT's weights come from REFERENCE's (or the other way round), with a p-value.

    Tests decide; scores are shown with their caveats and never change the verdict.

    Example: kinprint compare examples/models/base examples/models/finetune

    prints RELATED, "finetune and base share initial or trained weights ...", and what each test saw. With --html report.html
    the same and more, for people who will check it, as a page: null hypotheses, pictures, digests of every file. With
    --cyclonedx finetune.cdx.json or --in-toto finetune.intoto.json the same as a document for other programs.
    """
    require_verdict(fail_on)
    require_alpha(alpha)
    if deep and quick:
        raise typer.BadParameter("reads all weights, --quick next to none of them: choose one", param_hint="--deep")
    if cyclonedx is not None:
        require_cyclonedx()
    made = epoch()
    fingerprints, weights = both(reference, suspect, partial(read, quick=quick, cache=cache), deep=deep)
    with comparing() as progress:
        found = examine(fingerprints, weights, alpha=alpha, progress=progress)
    written = [path for path in (html, cyclonedx, in_toto) if path is not None]
    files = {"reference": hashed(reference), "suspect": hashed(suspect)} if written else {}
    if html is not None:
        write_text(html, comparison_html(found, files=files, **retyped()))
    if cyclonedx is not None:
        write_text(cyclonedx, cyclonedx_bom(found, files, made))
    if in_toto is not None:
        write_text(in_toto, in_toto_statement(found, files, made))
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
    else:
        Console().print(comparison_text(found))
    stop_on(fail_on, found.verdict)
