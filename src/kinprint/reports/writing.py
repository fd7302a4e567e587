"""Reports written to files: under a temporary name first, so that an interrupted run leaves the older report as it was."""

from __future__ import annotations

from pathlib import Path

from kinprint.checkpoints.files import replacing
from kinprint.errors import ReportError


def write_text(path: Path, text: str) -> None:
    """Write a file, atomically.

    Raises:
        ReportError: it cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise ReportError(path, f"cannot be written: {error.strerror or error}") from error
