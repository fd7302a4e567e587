"""What whoever starts the server decides."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

MAX_UPLOAD = 64_000_000
"""Bytes of one uploaded fingerprint; those of models of 70 billion parameters are a third of it."""

MAX_BODY = 64_000
"""Bytes of any other request."""


@dataclass(frozen=True)
class Settings:
    """What whoever starts the server decides.

    Attributes:
        library: folder or URL of the library that is served.
        folders: whose models may be fingerprinted, compared and searched for.
        reports: folder of pages that may be read, or None.
        token: what a client has to know, or "" where everyone who reaches the address may use it.
        hosts: names under which the server may be addressed; empty for any.
        writable: whether uploaded and measured fingerprints may be added to the library.
    """

    library: str
    folders: tuple[Path, ...] = ()
    reports: Path | None = None
    token: str = ""
    hosts: tuple[str, ...] = ()
    writable: bool = False


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
