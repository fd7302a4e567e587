"""The command line: one file a command, each found by its name and imported when it is asked for.

The module of a command holds its options and its help, and imports what does the work inside its functions, after it has seen
to wrong use: errors and help load neither numpy nor anything of its weight (tests/cli/test_startup.py).
"""

from __future__ import annotations

import os
import sys

import typer

from kinprint.cli._groups import files, group
from kinprint.cli._signs import degrade_signs
from kinprint.errors import KinprintError

INTERRUPTED = 130
"""Exit code of a command that was interrupted, as shells count."""

COMPLETING = "_KINPRINT_COMPLETE"
"""The variable of the environment by which a shell asks how a word goes on."""

app = group(files(__name__), "kinprint", "Paternity tests for language models: does one model's weights come from another's?")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", "-V", help="Print the version and stop.")) -> None:
    if version:
        from kinprint._version import __version__

        typer.echo(f"kinprint {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an input that cannot be used ends in one line on stderr and exit code 1."""
    degrade_signs()
    if COMPLETING in os.environ:  # a shell asks how a word goes on
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        app(prog_name="kinprint")
    except KinprintError as error:
        typer.echo(f"kinprint: {error}", err=True)
        sys.exit(1)
    except SystemExit as stopped:
        if stopped.code == INTERRUPTED:  # typer takes the interrupt and says nothing
            sys.stderr.write("kinprint: interrupted\n")
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # threads that still read a layer, or wait for a network, are not waited for
        raise
    except BrokenPipeError:
        sys.exit(0)
