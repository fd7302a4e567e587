"""kinprint serve"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from kinprint.cli._options import LibraryOption
from kinprint.errors import MissingExtraError

TOKEN = "KINPRINT_TOKEN"
"""Environment variable of the token."""


def command(
    library: LibraryOption,
    host: Annotated[str, typer.Option(help="Address to listen on; every address but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8642,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder whose models may be fingerprinted; can be given several times.", exists=True, file_okay=False
        ),
    ] = None,
    reports: Annotated[
        Path | None, typer.Option(help="Folder of HTML reports that may be read.", exists=True, file_okay=False)
    ] = None,
    writable: Annotated[bool, typer.Option(help="Add what is uploaded or measured to the library.")] = False,
    token: Annotated[bool, typer.Option(help=f"Ask for a token on loopback too: ${TOKEN}, or a new one.")] = False,
) -> None:
    """Serve a library to a browser, and its REST API, described at /docs.

    Example: kinprint serve --library my-library --models models

    then open http://127.0.0.1:8642. Nothing outside the library and the given folders is read, whatever a request says.
    """
    try:
        from kinprint.server.app import create_app, run
        from kinprint.server.settings import Settings, is_loopback
    except ImportError as error:
        raise MissingExtraError("serve", f"{error.name} is not installed", "pip install 'kinprint[server]'") from error
    local = is_loopback(host)
    secret = os.environ.get(TOKEN, "") or (secrets.token_urlsafe(32) if token or not local else "")
    names = ("localhost", "127.0.0.1", "::1", host) if local else ()
    app = create_app(Settings(library, tuple(models or ()), reports, secret, names, writable))
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"kinprint: serving {library} at http://{shown}:{port}  (Ctrl-C ends it)", err=True)
    if secret and not os.environ.get(TOKEN):
        typer.echo(f"kinprint: token: {secret}", err=True)
    if not local:
        typer.echo("kinprint: the connection is not encrypted: put a proxy with TLS in front of it", err=True)
    run(app, host, port)
