"""kinprint replay FILE REFERENCE SUSPECT"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._models import read, say_deep
from kinprint.cli._options import PLACES, CacheOption, JsonOption, SuspectArgument
from kinprint.cli._output import emit
from kinprint.cli._progress import step_bar

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kinprint.comparison.replay import Difference

LONGEST = 64_000_000
"""Bytes of a comparison as JSON."""

OTHERWISE = 3
"""Exit code if something came out otherwise."""


def command(
    file: Annotated[Path, typer.Argument(help="What `kinprint compare --json` wrote.")],
    reference: Annotated[str, typer.Argument(help=f"The reference of that comparison: {PLACES}.")],
    suspect: SuspectArgument,
    as_json: JsonOption = False,
    cache: CacheOption = True,
) -> None:
    """Make a comparison again, with the options that its file states, and say what comes out otherwise.

    The models are those that you name: no place that the file names is opened. Exit code 3 if anything differs. Documents for
    other programs are repeated by `kinprint verify --statement`.

    Example: kinprint replay twin.json examples/models/base examples/models/twin

    prints "the same: no-evidence, 8 tests", or each value that differs, then and now.
    """
    require_there(reference, suspect)
    from kinprint.checkpoints.json_text import parse_object
    from kinprint.checkpoints.source import LocalFile
    from kinprint.comparison import both, examine
    from kinprint.comparison.one_part import one_part
    from kinprint.comparison.replay import differences, options_of

    data = parse_object(LocalFile(file).read(LONGEST), file)
    options = options_of(data, file)
    measure = partial(read, quick=options.quick, scores=options.scores, cache=cache)
    ahead = partial(say_deep, scores=options.scores)
    fingerprints, weights = both(reference, suspect, measure, deep=options.deep, ahead=ahead)
    with step_bar() as progress:
        again = examine(fingerprints, weights, alpha=options.alpha, scores=options.scores, cache=False, progress=progress)
    if options.part is not None:
        again = one_part(again, options.part)
    found = differences(data, again)
    said = f"the same: {again.verdict}, {sum(item.decides for item in again.everything)} tests"
    emit(as_json, lambda: _json(found), lambda: _table(found) if found else said)
    if found:
        raise typer.Exit(OTHERWISE)


def _json(found: Sequence[Difference]) -> dict[str, Any]:
    return {"format": "kinprint-replay/1", "same": not found, "differences": [each.to_json() for each in found]}


def _table(found: Sequence[Difference]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=f"{len(found)} differences", title_justify="left")
    for column in ("what", "then", "now"):
        table.add_column(column, overflow="fold")
    for each in found:
        table.add_row(Text(each.what), Text(each.then), Text(each.now))
    return table
