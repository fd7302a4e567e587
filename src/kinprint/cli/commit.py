"""kinprint commit MODEL"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._models import hash_of_fingerprint, hashed, read
from kinprint.cli._options import PLACES, CacheOption
from kinprint.cli._output import require_writable
from kinprint.errors import ReportError, printable


def command(
    model: Annotated[str, typer.Argument(help=f"The model that is committed to: {PLACES}.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The commitment to write; NAME.commitment.json by default.")
    ] = None,
    opening: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Hide what is committed to: a digest is shown, and this file, kept secret, opens it."
        ),
    ] = None,
    cache: CacheOption = True,
) -> None:
    """Commit to MODEL, so that it can be shown later that it was there before another.

    Writes an in-toto statement with the digests of MODEL's files and of its fingerprint. It proves nothing by itself: sign it,
    and have it stamped by a time-stamp authority (RFC 3161) before MODEL is published. `kinprint verify --statement` checks
    model, opening and time stamp, and which of two commitments was there first (docs/supply-chain.md). With --opening, nothing
    of MODEL is shown until you give that file to somebody; without it the commitment is worth nothing.

    Example: kinprint commit examples/models/base -o base.commitment.json

    prints: base.commitment.json: commits to 4 files and the fingerprint of base
    """
    require_there(model)
    require_writable(output, opening)
    if opening is not None and opening.exists():
        problem = "is there already, and may be what opens an earlier commitment"
        raise ReportError(opening, problem, "give the name of a new file")
    from kinprint.checkpoints.files import file_name
    from kinprint.library.declarations.commitments import SALT_BYTES
    from kinprint.reports import hidden_commitment, open_commitment, write_text

    measured = read(model, cache=cache)
    files = hashed(model) or (hash_of_fingerprint(Path(model)),)
    target = output or Path(f"{file_name(measured.name)}.commitment.json")
    if opening is None:
        write_text(target, open_commitment(measured, files))
    else:
        if opening.resolve() == target.resolve():
            raise typer.BadParameter("is the commitment itself: give another file", param_hint="--opening")
        text = open_commitment(measured, files, secrets.token_bytes(SALT_BYTES))
        _write_secret(opening, text)
        try:
            write_text(target, hidden_commitment(text))
        except ReportError:
            opening.unlink()  # it opens nothing
            raise
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    typer.echo(f"{printable(target)}: commits to {count} and the fingerprint of {printable(measured.name)}")
    if opening is not None:
        typer.echo(f"{printable(opening)}: opens it; keep it secret, and unchanged to the last byte")


def _write_secret(path: Path, text: str) -> None:
    """Write a new file that nobody else may read."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise ReportError(path, f"cannot be written: {error.strerror or error}") from error
