"""kinprint fingerprint MODEL"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.cli._models import called, read
from kinprint.cli._options import (
    AsOption,
    CacheOption,
    FingerprintOption,
    NameOption,
    PartOption,
    QuickOption,
    ScoresOption,
    TableOption,
    ThreadsOption,
    component,
    given_tables,
    require_all_weights,
)
from kinprint.cli._output import require_writable
from kinprint.errors import printable


def command(
    model: Annotated[str, typer.Argument(help="A folder, a weights file, a hub id, or BASE+ADAPTER.")],
    output: FingerprintOption = None,
    name: NameOption = None,
    quick: QuickOption = False,
    scores: ScoresOption = False,
    part: PartOption = None,
    threads: ThreadsOption = None,
    cache: CacheOption = True,
    as_type: AsOption = None,
    table: TableOption = None,
) -> None:
    """Measure MODEL once and write its fingerprint, a small file that can be compared and exchanged.

    With --part "vision tower" it is that of the tower alone.

    Example: kinprint fingerprint examples/models/base -o base.kinprint

    prints: base.kinprint: 37 traits of 4 layers, 0.4 MB
    """
    only = component(part)
    require_all_weights(quick, scores=scores)
    require_writable(output)
    from kinprint.checkpoints.files import file_name

    measured = read(model, quick=quick, scores=scores, cache=cache, threads=threads, given=given_tables(as_type, table))
    measured = called(measured if only is None else measured.component(only), name)
    target = output or Path(f"{file_name(measured.name)}.kinprint")
    measured.save(target)
    size = target.stat().st_size / 1e6
    stored = f", quantised as {printable(measured.stated.quantization)}" if measured.stated.quantization else ""
    read_in_part = f"; quick: {measured.quick:.1%} of the bytes read" if measured.quick is not None else ""
    content = f"{len(measured.traits)} traits of {measured.layers} layers, {size:.1f} MB{stored}{read_in_part}"
    typer.echo(f"{printable(target)}: {content}")
