"""kinprint zoo transcript ZOO MEMBER"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.errors import printable


def command(
    folder: Annotated[Path, typer.Argument(help="A zoo.")],
    member: Annotated[str, typer.Argument(help="One of its models.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The transcript to write; MEMBER.jsonl by default.")
    ] = None,
) -> None:
    """Write the texts that MEMBER read in its last training with the step at which it read them, from its recipe.

    `kinprint black-box palimpsest` tests whether a model knows this order. Needs the extra `behaviour`.

    Example: kinprint zoo transcript zoo-tiny llama-base -o transcript.jsonl

    prints: transcript.jsonl: 960 texts in the order in which llama-base read them
    """
    from kinprint.zoo.transcripts import write_transcript

    target = output or Path(f"{member}.jsonl")
    count = write_transcript(folder, member, target)
    typer.echo(f"{printable(target)}: {count:,} texts in the order in which {printable(member)} read them")
