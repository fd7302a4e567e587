"""kinprint tree MODEL..."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kinprint import reports
from kinprint.cli._gates import require_alpha
from kinprint.cli._models import read, retyped
from kinprint.comparison import ALPHA
from kinprint.fingerprints import Fingerprint
from kinprint.library.trees.tree import Forest, tree
from kinprint.reports.tree_html import tree_html

NAME = "tree"


def command(
    models: Annotated[
        list[str] | None, typer.Argument(help="Folders, files, hub ids, BASE+ADAPTER or .kinprint files, two or more.")
    ] = None,
    library: Annotated[str | None, typer.Option(help="All models of this library, besides those that are named.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    newick: Annotated[Path | None, typer.Option(help="Write the trees in Newick format, a family a line.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write a picture of the trees.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one page that needs no network.")
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="Chance, at most, that any two models of independent training are joined.")
    ] = ALPHA,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
) -> None:
    """Join models to families by the tests, and draw the tree of each: who stands between whom, and how far apart.

    Distances grow with training. Which of two neighbours descends from the other is said where a mark of it was right often
    enough on models whose lineage is known; how often stands beside it.

    Example: kinprint tree examples/models/base examples/models/finetune examples/models/twin --svg tree.svg

    prints one family of base and finetune, and twin, which is related to neither.
    """
    if not models and library is None:
        raise typer.BadParameter("give two models or more, or --library", param_hint="MODEL...")
    require_alpha(alpha)
    fingerprints = [read(model, cache=cache) for model in models or ()] + _all_of(library)
    if len(fingerprints) < 2:
        raise typer.BadParameter("a tree takes two models or more", param_hint="MODEL...")
    forest = _grown(fingerprints, alpha)
    if newick is not None:
        reports.write_text(newick, forest.newick())
    if svg is not None:
        reports.write_text(svg, reports.tree_svg(forest))
    if html is not None:
        reports.write_text(html, tree_html(forest, **retyped()))
    if as_json:
        typer.echo(json.dumps(forest.to_json(), allow_nan=False))
    else:
        Console().print(reports.tree_text(forest))


def _all_of(library: str | None) -> list[Fingerprint]:
    """The fingerprints of a library."""
    if library is None:
        return []
    from kinprint.library import Library

    shelf = Library.open(library)
    return [shelf.get(model.digest) for model in shelf.models()]


def _grown(fingerprints: list[Fingerprint], alpha: float) -> Forest:
    """The trees, with a bar on stderr for each thing that is done."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("comparing", total=None)
        return tree(
            fingerprints,
            alpha=alpha,
            progress=lambda what, done, total: bars.update(bar, description=what, completed=done, total=total),
        )
