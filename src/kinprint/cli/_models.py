"""Models as commands read them: with a bar on stderr; and what reports say of how they were made."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kinprint.checkpoints.places import means_url, name_like_an_id, require_there
from kinprint.cli._estimates import deep_expectation, told
from kinprint.cli._progress import byte_bar, say_when_compiling
from kinprint.errors import printable

if TYPE_CHECKING:
    from kinprint.architectures import OpenModel, Table, Weights
    from kinprint.checkpoints.hashes import FileHash
    from kinprint.fingerprints import Fingerprint


def read(
    model: str | os.PathLike[str] | Fingerprint | OpenModel,
    *,
    cache: bool,
    quick: bool = False,
    scores: bool = False,
    offline: bool = False,
    given: Sequence[Table] = (),
    threads: int | None = None,
) -> Fingerprint:
    """The fingerprint of MODEL, with a progress bar (bytes, rate, time left) on stderr while it is measured."""
    if isinstance(model, str):
        require_there(model)
        if not offline:
            announce(model)
    say_when_compiling()
    from kinprint.fingerprints import fingerprint

    with byte_bar(_shown_name(model)) as progress:
        if isinstance(model, str) and sys.stderr.isatty():
            progress = told(model, progress, lambda words: typer.echo(f"kinprint: {printable(model)}: {words}", err=True))
        return fingerprint(
            model,
            quick=quick,
            scores=scores,
            cache=cache,
            offline=offline,
            given=given,
            threads=threads,
            progress=progress,
        )


def called(model: Fingerprint, name: str | None) -> Fingerprint:
    """The model under the name that the user gives it, if any; its digest stays the same."""
    if name is None:
        return model
    from kinprint.fingerprints import Fingerprint

    return Fingerprint(name, model.traits, model.facts, model.provenance)


def announce(model: str) -> None:
    """Say to who looks on that a hub is asked, before it is."""
    if sys.stderr.isatty() and not os.path.lexists(model) and not means_url(model) and name_like_an_id(model):
        asked = os.environ.get("HF_ENDPOINT") or "the hub"
        typer.echo(f"{printable(model)}: not on this disk, asking {printable(asked)}", err=True)


def say_deep(reference: Weights, suspect: Weights, *, scores: bool = False) -> None:
    """Say to who looks on how long --deep will take, where that is long; nothing of the weights is read for it."""
    words = deep_expectation(reference, suspect, scores=scores)
    if words is not None and sys.stderr.isatty():
        typer.echo(f"kinprint: {printable(reference.name)} and {printable(suspect.name)}: {words}", err=True)


def _shown_name(model: str | os.PathLike[str] | Fingerprint | OpenModel) -> str:
    """What to call a model beside its bar."""
    if isinstance(model, str | os.PathLike):
        return os.fspath(model)
    from kinprint.fingerprints import Fingerprint

    return model.name if isinstance(model, Fingerprint) else model.checkpoint.source


def hashed(model: str, *, offline: bool = False) -> tuple[FileHash, ...]:
    """The files of MODEL with their SHA-256, with a bar on stderr; none of a `.kinprint` file, which has no weights."""
    from kinprint.checkpoints import open_checkpoint
    from kinprint.checkpoints.hashes import hashes
    from kinprint.fingerprints.from_model import SUFFIX

    if Path(model).suffix == SUFFIX:
        return ()
    with byte_bar(f"SHA-256 {model}") as progress:
        return hashes(open_checkpoint(model, offline=offline), progress)


def epoch() -> datetime | None:
    """The time that documents shall bear: SOURCE_DATE_EPOCH, as for every reproducible build; none where it is not set."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise typer.BadParameter(f"{printable(seconds, 40)} is no number of seconds", param_hint="SOURCE_DATE_EPOCH") from error


def retyped(case: str = "", author: str = "") -> dict[str, str]:
    """The command that is running, and when: what reports say of how they were made, and on their top."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"command": shlex.join(["kinprint", *sys.argv[1:]]), "when": now, "case": case, "author": author}


def hash_of_fingerprint(path: Path, note: str = "") -> FileHash:
    """The digest of a `.kinprint` file itself, where the model that it was made of is not at hand."""
    import hashlib

    from kinprint.checkpoints.hashes import FileHash

    data = path.read_bytes()
    return FileHash(path.name, len(data), hashlib.sha256(data).hexdigest(), note)
