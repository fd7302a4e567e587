"""From whatever a user calls a model to its fingerprint."""

from __future__ import annotations

import os
from pathlib import Path

from kinprint.architectures import recognise
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.ranges import expect
from kinprint.fingerprints import cache as stored
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.measure import Progress, measure

SUFFIX = ".kinprint"


def fingerprint(
    model: str | os.PathLike[str] | Fingerprint,
    *,
    cache: bool = True,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Fingerprint:
    """The fingerprint of a model: a folder, a weights file, a hub id, a `.kinprint` file, or a fingerprint already at hand.

    Args:
        model: what to fingerprint.
        cache: use and fill the user's cache folder.
        threads: of the measuring pass; all processors by default. The result does not depend on it.
        progress: called with bytes done and bytes in all.

    Raises:
        CheckpointError, ArchitectureError, FingerprintError: the model cannot be read.
    """
    if isinstance(model, Fingerprint):
        return model
    if Path(model).suffix == SUFFIX:
        return Fingerprint.load(model)
    checkpoint = open_checkpoint(model)
    found = stored.find(checkpoint) if cache else None
    if found is None:
        anatomy = recognise(checkpoint)
        needed = expect(checkpoint.tensors.get(name) for name in {part.tensor for part in anatomy.parts})
        with needed.watched(progress) as progress:
            found = measure(checkpoint, anatomy, threads=threads, progress=progress)
        if cache:
            stored.keep(checkpoint, found)
    if checkpoint.revision:  # after the cache, which knows models by their content alone
        provenance = {**found.provenance, "revision": checkpoint.revision}
        found = Fingerprint(found.name, found.traits, found.facts, provenance)
    return found
