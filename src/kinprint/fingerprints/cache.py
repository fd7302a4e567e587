"""Fingerprints already measured, kept in the user's cache folder under the identity of what was measured."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from blake3 import blake3

from kinprint.checkpoints import Checkpoint
from kinprint.checkpoints.files import cache_folder, partial_of
from kinprint.errors import FingerprintError
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION, TRAITS

FACTS = "positions of guessed types, named spaces"
"""What is measured in another way, or newly, since fingerprints were first kept, traits apart."""

EDGE = 1 << 16
"""Bytes read from each end of a file. The header of a checkpoint is at one of them."""


def folder() -> Path:
    """$KINPRINT_CACHE, or the platform's cache folder."""
    return cache_folder() / "fingerprints"


def key(checkpoint: Checkpoint, kind: str) -> str:
    """Identity of a checkpoint's content without reading all of it: every file's name, size, time and both ends.

    Of a file that is not all here: its name, size and version elsewhere.

    Args:
        kind: of measuring.
    """
    identity = blake3(f"{kind} {len(TRAITS)} traits {TRAIT_VERSION} {FACTS}\n".encode())
    for path in sorted(checkpoint.files):
        if partial := partial_of(path):
            identity.update(json.dumps([path.name, os.stat(path).st_size, "version", partial.version]).encode())
            continue
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            identity.update(json.dumps([path.name, status.st_size, status.st_mtime_ns]).encode())
            identity.update(file.read(EDGE))
            file.seek(max(status.st_size - EDGE, 0))
            identity.update(file.read(EDGE))
    identity.update(json.dumps(checkpoint.config, sort_keys=True, default=str).encode())
    return identity.hexdigest()


def find(checkpoint: Checkpoint, kind: str) -> Fingerprint | None:
    """The fingerprint measured earlier, under the name and source asked for now; None if there is none to be trusted."""
    try:
        found = Fingerprint.load(folder() / f"{key(checkpoint, kind)}.kinprint")
    except (FingerprintError, OSError):
        return None
    provenance = {**found.provenance, "source": str(checkpoint.source)}
    return Fingerprint(checkpoint.name, found.traits, found.facts, provenance)


def keep(checkpoint: Checkpoint, kind: str, fingerprint: Fingerprint) -> None:
    """Store a fingerprint; a cache that cannot be written is no cache, and no error."""
    with contextlib.suppress(FingerprintError, OSError):
        folder().mkdir(parents=True, exist_ok=True)
        fingerprint.save(folder() / f"{key(checkpoint, kind)}.kinprint")
