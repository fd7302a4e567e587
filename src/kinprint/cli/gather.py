"""kinprint gather SUSPECT --library DIR"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._findings import chosen, publish
from kinprint.cli._models import called, hashed, read
from kinprint.cli._options import (
    AlphaOption,
    CacheOption,
    FormatOption,
    JsonOption,
    NameOption,
    OptionalLibraryOption,
    SuspectArgument,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.terms import ALPHA


def command(
    suspect: SuspectArgument,
    library: OptionalLibraryOption = None,
    among: Annotated[
        list[str] | None, typer.Option(help="A model that may be a part of it; can be given several times.")
    ] = None,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    name: NameOption = None,
    mergekit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the recipe (YAML) by which mergekit would make such a model.")
    ] = None,
    alpha: AlphaOption = ALPHA,
    cache: CacheOption = True,
) -> None:
    """Say which models SUSPECT was put together from, how much of each, and how.

    Looks for its parts in a library, among the models that are named, or in both.

    Example: kinprint transform merge examples/models/base -o merged --others examples/models/finetune --weights 0.3,0.7 &&
    kinprint gather merged --among examples/models/base --among examples/models/finetune

    prints "merged is a weighted mean of finetune, base" with coefficients 0.700 and 0.300.
    """
    if library is None and not among:
        raise typer.BadParameter("say where its parts are sought: --library or --among", param_hint="--library")
    form = chosen(form, as_json)
    require_there(suspect, *(among or ()))
    require_writable(mergekit)
    from kinprint.reports.findings import of_gathering
    from kinprint.reports.gather_terminal import gathering_text
    from kinprint.verbs import gather

    examined = called(read(suspect, cache=cache), name)
    candidates = [read(model, cache=cache) for model in among or ()]
    with step_bar() as progress:
        gathering = gather(examined, candidates, library=library, alpha=alpha, progress=progress)
    publish(of_gathering(gathering, suspect, lambda: hashed(suspect)), form, lambda: gathering_text(gathering))
    if mergekit is not None:
        from kinprint.reports.mergekit_recipe import mergekit_recipe

        write(mergekit, lambda: mergekit_recipe(gathering))
