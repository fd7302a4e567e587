"""kinprint cache list"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinprint.cli._options import JsonOption
from kinprint.cli._output import emit
from kinprint.cli.cache._kinds import KINDS, Kept, kept
from kinprint.errors import printable

if TYPE_CHECKING:
    from rich.table import Table


def command(as_json: JsonOption = False) -> None:
    """Show what kinprint keeps on this disk, where, and how many bytes that takes.

    Example: kinprint cache list

    prints a table: what is kept, files, bytes. KINPRINT_CACHE names another folder; `kinprint cache clear` removes it all.
    """
    found = [kept(kind) for kind in KINDS]
    rows = [{"kind": each.kind, "folder": str(each.folder), "files": each.files, "bytes": each.nbytes} for each in found]
    emit(as_json, lambda: {"format": "kinprint-cache/1", "kept": rows}, lambda: _table(found))


def _table(found: Sequence[Kept]) -> Table:
    from rich.filesize import decimal
    from rich.table import Column, Table
    from rich.text import Text

    numbers = (Column(name, justify="right", no_wrap=True) for name in ("files", "size"))
    title = Text(printable(found[0].folder.parent))
    table = Table(Column("kept", no_wrap=True), Column("what", overflow="fold"), *numbers, title=title, title_justify="left")
    for each in found:
        table.add_row(each.kind, KINDS[each.kind], f"{each.files:,}", decimal(each.nbytes))
    return table
