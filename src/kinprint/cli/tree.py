"""kinprint tree MODEL..."""

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
    PartOption,
    SvgOption,
    component,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.terms import ALPHA


def command(
    models: Annotated[
        list[str] | None, typer.Argument(help=f"Two models or more, each a {PLACES}.", show_default=False)
    ] = None,
    library: OptionalLibraryOption = None,
    test_all: Annotated[
        bool,
        typer.Option("--all", help="Test every pair, also of more than 64 models; else only pairs whose vectors lie near."),
    ] = False,
    part: PartOption = None,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    accepted: AcceptedOption = None,
    newick: Annotated[Path | None, typer.Option(help="Write the trees in Newick format, a family a line.")] = None,
    svg: SvgOption = None,
    html: HtmlOption = None,
    case: CaseOption = "",
    author: AuthorOption = "",
    alpha: AlphaOption = ALPHA,
    cache: CacheOption = True,
) -> None:
    """Join models to families by the tests, and draw the tree of each: who stands between whom, and how far apart.

    Takes all models of a library, and those that are named. Any two models of independent training are joined with
    probability --alpha at most. Of more than 64 models, pairs whose vectors lie apart are not tested unless --all is
    given: that joins fewer relatives, and no strangers. Distances grow with training. An arrow says that a model was made
    from another's weights: only where a step shows it that cannot be undone, with how often such arrows were true on models of
    known lineage. Else one may descend from the other, or both from a third, and no root is named.

    Example: kinprint tree examples/models/base examples/models/finetune examples/models/twin --svg tree.svg

    prints one family of base and finetune, and twin, which is related to neither. --part "vision tower" draws the tree of
    towers, of the models of a library that have one.
    """
    if not models and library is None:
        raise typer.BadParameter("give two models or more, or --library", param_hint="MODEL...")
    only = component(part)
    require_there(*(models or ()))
    form = chosen(form, as_json, several="tree")
    require_writable(newick, svg, html)
    known = acceptances(accepted)
    from kinprint.reports import tree_text
    from kinprint.reports.findings import of_tree
    from kinprint.reports.tree_html import tree_html
    from kinprint.reports.tree_svg import tree_svg
    from kinprint.verbs import tree

    fingerprints = [read(model, cache=cache) for model in models or ()]
    with step_bar() as progress:
        forest = tree(fingerprints, library=library, alpha=alpha, test_all=test_all, part=only, cache=cache, progress=progress)
    if len(forest.labels) < 2:
        raise typer.BadParameter("a tree takes two models or more", param_hint="MODEL...")
    publish(of_tree(forest), form, lambda: tree_text(forest), known)
    write(newick, forest.newick)
    write(svg, lambda: tree_svg(forest))
    write(html, lambda: tree_html(forest, **retyped(case, author)))
