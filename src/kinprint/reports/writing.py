"""Reports written to files: under a temporary name first, so that an interrupted run leaves the older report as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from kinprint.errors import ReportError


def write_text(path: Path, text: str) -> None:
    """Write a file, atomically.

    Raises:
        ReportError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise ReportError(path, f"cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
