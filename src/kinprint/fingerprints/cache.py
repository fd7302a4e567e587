"""Fingerprints already measured, kept in the user's cache folder under the identity of what was measured."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from blake3 import blake3

from kinprint.checkpoints import Checkpoint
from kinprint.checkpoints.files import cache_folder
from kinprint.errors import CheckpointError, FingerprintError
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION, TRAITS

FACTS = "positions of guessed types, named spaces, content of every tensor, components"
"""What is measured in another way, or newly, since fingerprints were first kept, traits apart."""


def folder() -> Path:
    """$KINPRINT_CACHE, or the platform's cache folder."""
    return cache_folder() / "fingerprints"


def key(checkpoint: Checkpoint, kind: str) -> str:
    """Identity of a checkpoint's content without reading all of it, from that of every file.

    Args:
        kind: of measuring.

    Raises:
        CheckpointError: a file cannot be read any more.
    """
    identity = blake3(f"{kind} {len(TRAITS)} traits {TRAIT_VERSION} {FACTS}\n".encode())
    for source in sorted(checkpoint.files, key=str):
        identity.update(source.identity())
    identity.update(json.dumps(checkpoint.config, sort_keys=True, default=str).encode())
    return identity.hexdigest()


def find(checkpoint: Checkpoint, kind: str) -> Fingerprint | None:
    """The fingerprint measured earlier, under the name and source asked for now; None if there is none to be trusted."""
    try:
        kept = Fingerprint.load(folder() / f"{key(checkpoint, kind)}.kinprint")
    except (CheckpointError, FingerprintError, OSError):
        return None
    provenance = {**kept.provenance, "source": str(checkpoint.source)}
    return Fingerprint(checkpoint.name, kept.traits, kept.facts, provenance)


def keep(checkpoint: Checkpoint, kind: str, fingerprint: Fingerprint) -> None:
    """Store a fingerprint; a cache that cannot be written is no cache, and no error."""
    with contextlib.suppress(CheckpointError, FingerprintError, OSError):
        folder().mkdir(parents=True, exist_ok=True)
        fingerprint.save(folder() / f"{key(checkpoint, kind)}.kinprint")
