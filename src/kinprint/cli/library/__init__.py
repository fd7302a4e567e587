"""kinprint library add | list | remove | merge | export ...: one file a command, each found by its name."""

from __future__ import annotations

import sys

import typer

from kinprint import discovery

NAME = "library"
app = typer.Typer(no_args_is_help=True, help="Many fingerprints, in a folder or in object storage, to search and to share.")

for _module in discovery.modules(sys.modules[__name__]):
    app.command(_module.NAME)(_module.command)
