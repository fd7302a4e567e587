"""kinprint zoo list"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinprint.cli._options import JsonOption
from kinprint.cli._output import emit
from kinprint.errors import KinprintError

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from kinprint.zoo import Member


def command(
    folder: Annotated[Path | None, typer.Argument(help="A zoo; without one, what each size would hold.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models of a zoo with their lineage, and their numbers of parameters where they are built.

    Example: kinprint zoo list zoo-tiny
    """
    from rich.console import Group

    from kinprint.zoo import Lineage
    from kinprint.zoo.lineage import described
    from kinprint.zoo.recipes import SIZES, recipes

    if folder is not None:
        lineage = Lineage.read(folder)
        zoos = {lineage.size: list(lineage.members.values())}
        counts = {name: _parameters(folder / name) for name in lineage.members}
    else:
        zoos = {size: [recipe.member for recipe in recipes(size)] for size in SIZES}
        counts = {}

    def rows() -> dict[str, list[dict[str, Any]]]:
        return {size: [described(member) | _counted(member, counts) for member in members] for size, members in zoos.items()}

    def tables() -> Group:
        shown = list(zoos.items())[: 2 if folder is None else 1]
        more = {"small": " (medium holds the same)"} if folder is None else {}
        return Group(
            *(_table(f"{size}: {len(members)} models{more.get(size, '')}", members, counts) for size, members in shown)
        )

    emit(as_json, rows, tables)


def _parameters(folder: Path) -> int | None:
    """Parameters of a model as stored (tied weights once); None if its folder is missing or cannot be read."""
    from kinprint.checkpoints import open_checkpoint

    try:
        return sum(math.prod(tensor.shape) for tensor in open_checkpoint(folder).tensors.values())
    except KinprintError:
        return None


def _counted(member: Member, counts: dict[str, int | None]) -> dict[str, int | None]:
    return {"parameters": counts[member.name]} if member.name in counts else {}


def _table(title: str, members: Iterable[Member], counts: dict[str, int | None]) -> Table:
    """One row a member; names are folded rather than cut, since they are what one types."""
    from rich.table import Column, Table
    from rich.text import Text

    from kinprint.families import published_name

    names = ("name", "family", "kind", "parents", "teacher", *(("parameters",) if counts else ()))
    columns = (Column(name, overflow="fold", justify="right" if name == "parameters" else "left") for name in names)
    table = Table(*columns, title=Text(title), title_justify="left")
    for member in members:
        row = [member.name, published_name(member.family), member.kind, ", ".join(member.parents), member.teacher or ""]
        count = counts.get(member.name)
        table.add_row(*map(Text, row), *(["missing" if count is None else f"{count:,}"] if counts else []))
    return table
