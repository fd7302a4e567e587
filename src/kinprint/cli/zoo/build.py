"""kinprint zoo build"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.cli._options import OptionalJobsOption
from kinprint.cli._progress import count_bars

if TYPE_CHECKING:
    from kinprint.zoo.build import State


def command(
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
    from kinprint.zoo.build import build
    from kinprint.zoo.recipes import habitual

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
