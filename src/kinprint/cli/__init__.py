"""The command line: one file a command, each found by its name."""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from kinprint import discovery
from kinprint.errors import KinprintError

INTERRUPTED = 130
"""Exit code of a command that was interrupted, as shells count."""

app = typer.Typer(
    name="kinprint",
    help="Paternity tests for language models: does one model's weights come from another's?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        from kinprint._version import __version__

        typer.echo(f"kinprint {__version__}")
        raise typer.Exit


for _module in discovery.modules(sys.modules[__name__]):
    if hasattr(_module, "app"):  # a command of commands
        app.add_typer(_module.app, name=_module.NAME)
    else:
        app.command(_module.NAME)(_module.command)


def main() -> None:
    """Run the command line; an input that cannot be used ends in one line on stderr and exit code 1."""
    try:
        app()
    except KinprintError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"kinprint: {error}"))
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
