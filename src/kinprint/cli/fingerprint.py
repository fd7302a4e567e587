"""kinprint fingerprint MODEL"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.checkpoints.files import file_name
from kinprint.cli._models import read
from kinprint.errors import printable

NAME = "fingerprint"


def command(
    model: Annotated[str, typer.Argument(help="A folder, a weights file, a hub id, or BASE+ADAPTER.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; NAME.kinprint by default.")] = None,
    quick: Annotated[
        bool,
        typer.Option(help="Read about 1 % of the weights: enough for a first verdict."),
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the measuring pass; the result is the same.")] = None,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
) -> None:
    """Measure MODEL once and write its fingerprint, a small file that can be compared and exchanged.

    Example: kinprint fingerprint examples/models/base -o base.kinprint

    prints: base.kinprint: 38 traits of 4 layers, 0.4 MB
    """
    found = read(model, quick=quick, cache=cache, threads=threads)
    target = output or Path(f"{file_name(found.name)}.kinprint")
    found.save(target)
    size = target.stat().st_size / 1e6
    stored = f", quantised as {printable(found.stated.quantization)}" if found.stated.quantization else ""
    read_in_part = f"; quick: {found.quick:.1%} of the bytes read" if found.quick is not None else ""
    told = f"{len(found.traits)} traits of {found.layers} layers, {size:.1f} MB{stored}{read_in_part}"
    typer.echo(f"{printable(target)}: {told}")
