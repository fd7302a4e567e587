"""What commands share: reading a model with progress on stderr."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint, fingerprint


def read(model: str, *, cache: bool, threads: int | None = None) -> Fingerprint:
    """The fingerprint of MODEL, with a progress bar (bytes, rate, time left) on stderr while it is measured."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(printable(model, 40).replace("[", r"\["), total=None)
        return fingerprint(
            model, cache=cache, threads=threads, progress=lambda done, total: bars.update(bar, completed=done, total=total)
        )
