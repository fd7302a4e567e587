"""kinprint zoo build | list"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from kinprint.checkpoints import open_checkpoint
from kinprint.cli._options import JsonOption, OptionalJobsOption
from kinprint.cli._output import emit
from kinprint.cli._progress import count_bars
from kinprint.errors import KinprintError
from kinprint.zoo import Lineage, Member
from kinprint.zoo.build import State, build
from kinprint.zoo.lineage import described
from kinprint.zoo.recipes import SIZES, habitual, recipes

NAME = "zoo"
app = typer.Typer(
    no_args_is_help=True, help="Small models trained with known lineage: the ground truth that methods are measured on."
)


@app.command("build")
def build_command(
    size: Annotated[str, typer.Option(help="tiny (minutes), small (half an hour), medium (for a GPU).")] = "tiny",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the zoo; zoo-SIZE by default.")] = None,
    device: Annotated[str, typer.Option(help="Device to train on: cpu or cuda.")] = "cpu",
    jobs: OptionalJobsOption = None,
    habits: Annotated[bool, typer.Option("--habits", help="Also train strangers that label their units alike.")] = False,
) -> None:
    """Train a zoo: several families from scratch, their descendants of every kind, disguised copies, hard negatives.

    A build that was interrupted goes on where it stopped. Makes as many members at once as there are processors, or --jobs.
    Needs the extra `behaviour`.

    Example: kinprint zoo build --size tiny

    makes zoo-tiny/ with one folder a model and lineage.json, which says who descends from whom.
    """
    folder = output or Path(f"zoo-{size}")
    bars = count_bars(width=32)
    whole = bars.add_task(f"zoo ({size})", total=None)
    shown: dict[str, int] = {}

    def watch(state: State) -> None:
        bars.update(whole, completed=state.done, total=state.total)
        for name in set(shown) - set(state.running):
            bars.remove_task(shown.pop(name))  # type: ignore[arg-type]
        for name, (done, total, loss) in state.running.items():
            if name not in shown:
                shown[name] = bars.add_task(name, total=total)
            bars.update(shown[name], completed=done, total=total, description=f"{name} ({loss:.2f})")  # type: ignore[arg-type]

    with bars:
        lineage = build(folder, size, device=device, jobs=jobs, watch=watch, only=habitual(size) if habits else None)
    typer.echo(f"{folder}: {len(lineage.members)} models")


@app.command("list")
def list_command(
    folder: Annotated[Path | None, typer.Argument(help="A zoo; without one, what each size would hold.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models of a zoo with their lineage, and their numbers of parameters where they are built.

    Example: kinprint zoo list zoo-tiny
    """
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
    try:
        return sum(math.prod(tensor.shape) for tensor in open_checkpoint(folder).tensors.values())
    except KinprintError:
        return None


def _counted(member: Member, counts: dict[str, int | None]) -> dict[str, int | None]:
    return {"parameters": counts[member.name]} if member.name in counts else {}


def _table(title: str, members: Iterable[Member], counts: dict[str, int | None]) -> Table:
    """One row a member; names are folded rather than cut, since they are what one types."""
    names = ("name", "family", "kind", "parents", "teacher", *(("parameters",) if counts else ()))
    columns = (Column(name, overflow="fold", justify="right" if name == "parameters" else "left") for name in names)
    table = Table(*columns, title=Text(title), title_justify="left")
    for member in members:
        row = [member.name, member.family, member.kind, ", ".join(member.parents), member.teacher or ""]
        count = counts.get(member.name)
        table.add_row(*map(Text, row), *(["missing" if count is None else f"{count:,}"] if counts else []))
    return table
