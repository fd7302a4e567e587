"""The command line in this process, as if in one of its own: what it prints and how it ends. Starting one takes seconds."""

from __future__ import annotations

import io
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from kinprint.cli import main


class Done(NamedTuple):
    """As of `subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


def kinprint(*arguments: object, folder: Path | None = None) -> Done:
    """Run a command of ours in a folder, this one by default."""
    printed, errors, code = io.StringIO(), io.StringIO(), 0
    words = ["kinprint", *map(str, arguments)]
    with (
        chdir(folder or os.curdir),
        mock.patch.object(sys, "argv", words),
        redirect_stdout(printed),
        redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, printed.getvalue(), errors.getvalue())
