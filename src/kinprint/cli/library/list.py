"""kinprint library list"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kinprint.cli._options import JsonOption, LibraryOption
from kinprint.cli._output import emit
from kinprint.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

    from kinprint.library.records import ListedModel


def command(
    library: LibraryOption,
    as_json: JsonOption = False,
) -> None:
    """List the models of a library.

    Example: kinprint library list --library lib

    prints a table: name, family, layers, hidden size, parameters, share of the bytes read, digest.
    """
    from kinprint.library import listing
    from kinprint.library.store import Library

    listed = listing.read(library)
    models = sorted(
        Library.open(library).models() if listed is None else listed.models, key=lambda model: (model.name, model.digest)
    )
    result = {"format": "kinprint-library/1", "library": library, "models": [model.to_json() for model in models]}
    emit(as_json, lambda: result, lambda: _table(f"{printable(library)}: {len(models)} models", models))


def _table(title: str, models: Iterable[ListedModel]) -> Table:
    """One row a model; names are folded rather than cut, since they are what one types."""
    from rich.table import Column, Table
    from rich.text import Text

    texts = (Column(name, overflow="fold") for name in ("name", "family"))
    numbers = (Column(name, justify="right", no_wrap=True) for name in ("layers", "hidden", "parameters", "read"))
    table = Table(*texts, *numbers, Column("digest", no_wrap=True), title=Text(title), title_justify="left")
    for model in models:
        counts = ("" if count is None else f"{count:,}" for count in (model.layers, model.hidden_size, model.parameters))
        read = "all" if model.quick is None else f"{model.quick:.1%}"
        cells = (model.name, model.family_name, *counts, read, model.digest[:12])
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
