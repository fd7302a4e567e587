"""kinprint gather SUSPECT --library DIR"""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from kinprint.cli._gates import require_alpha
from kinprint.cli._models import comparing, read
from kinprint.comparison import ALPHA
from kinprint.fingerprints import Fingerprint
from kinprint.library.merges.gather import gather
from kinprint.reports.gather_terminal import gathering_text

NAME = "gather"


def command(
    suspect: Annotated[str, typer.Argument(help="The model: folder, file, hub id, BASE+ADAPTER or .kinprint file.")],
    library: Annotated[
        str | None, typer.Option(help="Where its parts are sought: a library's folder, or a URL of object storage.")
    ] = None,
    among: Annotated[list[str] | None, typer.Option(help="A model that may be a part of it; give several times.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    alpha: Annotated[
        float, typer.Option(help="Largest p-value, corrected for all models searched, at which one counts.")
    ] = ALPHA,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
) -> None:
    """Say which models SUSPECT was put together from, with how much of each, and how.

    Example: kinprint transform merge examples/models/base -o merged --others examples/models/finetune --weights 0.3,0.7 &&
    kinprint gather merged --among examples/models/base --among examples/models/finetune

    prints "merged is a weighted mean of finetune, base" with coefficients 0.700 and 0.300.
    """
    if library is None and not among:
        raise typer.BadParameter("say where its parts are sought: --library or --among", param_hint="--library")
    require_alpha(alpha)
    examined = read(suspect, cache=cache)
    candidates = [read(model, cache=cache) for model in among or []]
    more, size = _stored(library, examined) if library is not None else ([], 0)
    with comparing() as progress:
        found = gather(
            examined, list({model.digest: model for model in [*candidates, *more]}.values()),
            alpha=alpha, size=size + len(candidates), progress=progress,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
    else:
        Console().print(gathering_text(found))


def _stored(library: str, suspect: Fingerprint) -> tuple[list[Fingerprint], int]:
    """The candidates of a library, and how many models it has."""
    from kinprint.library import Library
    from kinprint.library.merges.candidates import candidates

    opened = Library.open(library)
    return list(candidates(suspect, opened)), len(opened)
