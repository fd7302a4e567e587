"""kinprint inspect MODEL"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._models import announce
from kinprint.cli._options import PLACES, AsOption, JsonOption, TableOption, given_tables
from kinprint.cli._output import emit


def command(
    model: Annotated[str, typer.Argument(help=f"The model: {PLACES}.")],
    as_json: JsonOption = False,
    as_type: AsOption = None,
    table: TableOption = None,
) -> None:
    """Show how MODEL is read: its family and why, its tensors by role, and what is not understood.

    Weights are not read, so this takes a moment at any size.

    Example: kinprint inspect examples/models/base

    prints "read as Llama (known): its type is llama, and its tensors are those of such a model", then a line a role.
    """
    require_there(model)
    announce(model)
    from kinprint.fingerprints.inspection import inspect
    from kinprint.reports import inspection_text

    found = inspect(model, given=given_tables(as_type, table))
    emit(as_json, found.to_json, lambda: inspection_text(found))
