"""Results sent to a program that waits for them: one POST of JSON each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import typer

SECRET = "KINPRINT_WEBHOOK_SECRET"
"""The variable of the environment with the key of signatures."""

SIGNATURE = "X-Kinprint-Signature"
"""The header with `sha256=` and the HMAC of the body under that key."""

TIMEOUT = 10.0
WAITS = (1.0, 5.0)
"""Seconds before the second and the third attempt."""


def require_address(url: str) -> None:
    """Refuse what is no address of a server, before any work."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter("takes an address such as https://example.org/hook", param_hint="--webhook")


def send(url: str, document: dict[str, Any], sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Post a document, up to three times.

    Returns:
        why it could not be delivered; None if it was.
    """
    import hashlib
    import hmac
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    from kinprint.observation.wire import NoRedirects

    body = json.dumps(document, allow_nan=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "kinprint"}
    secret = os.environ.get(SECRET, "")
    if secret:
        headers[SIGNATURE] = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
    opener = urllib.request.build_opener(NoRedirects)  # a result goes where the user said
    problem = ""
    for wait in (*WAITS, None):
        try:
            with opener.open(urllib.request.Request(url, body, headers), timeout=TIMEOUT):
                return None
        except urllib.error.HTTPError as error:
            problem = f"answered {error.code}"
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                return problem
        except (OSError, HTTPException, ValueError) as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
        if wait is not None:
            sleep(wait)
    return problem
