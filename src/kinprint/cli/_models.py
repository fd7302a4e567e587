"""What commands share: reading a model with progress on stderr."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from kinprint.architectures import OpenModel
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.hashes import FileHash, hashes
from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.fingerprints.from_model import SUFFIX


def read(
    model: str | os.PathLike[str] | Fingerprint | OpenModel, *, cache: bool, quick: bool = False, threads: int | None = None
) -> Fingerprint:
    """The fingerprint of MODEL, with a progress bar (bytes, rate, time left) on stderr while it is measured."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    bar = bars.add_task(escape(printable(shown_name(model), 40)), total=None)
    with ExitStack() as shown:

        def progress(done: int, total: int) -> None:
            if not bars.live.is_started:  # not earlier: a download from a hub has its own bars, and two kinds garble each other
                shown.enter_context(bars)
            bars.update(bar, completed=done, total=total)

        return fingerprint(model, quick=quick, cache=cache, threads=threads, progress=progress)


def shown_name(model: str | os.PathLike[str] | Fingerprint | OpenModel) -> str:
    """What to call a model beside its bar."""
    if isinstance(model, OpenModel):
        return model.checkpoint.source
    return model.name if isinstance(model, Fingerprint) else os.fspath(model)


def hashed(model: str) -> tuple[FileHash, ...]:
    """The files of MODEL with their SHA-256, with a bar on stderr; none of a `.kinprint` file, which has no weights."""
    if Path(model).suffix == SUFFIX:
        return ()
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"SHA-256 {escape(printable(model, 40))}", total=None)
        return hashes(open_checkpoint(model), lambda done, total: bars.update(bar, completed=done, total=total))


@contextmanager
def comparing() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr of the methods of one comparison: what to give `examine` as its progress."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("comparing", total=None)
        yield lambda method, done, total: bars.update(bar, description=method, completed=done, total=total)


def epoch() -> datetime | None:
    """The time that documents shall bear: SOURCE_DATE_EPOCH, as for every reproducible build; none where it is not set."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if not said:
        return None
    try:
        return datetime.fromtimestamp(int(said), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise typer.BadParameter(f"{printable(said, 40)} is no number of seconds", param_hint="SOURCE_DATE_EPOCH") from error


def retyped() -> dict[str, str]:
    """The command that is running, and when: what reports say of how they were made."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"command": shlex.join(["kinprint", *sys.argv[1:]]), "when": now}
