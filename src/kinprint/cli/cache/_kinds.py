"""What lies in kinprint's cache folder: each kind in a folder of its own, which may be removed at any time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from kinprint.checkpoints.files import cache_folder

KINDS = {
    "fingerprints": "fingerprints of models that were measured",
    "evidence": "what tests said about pairs",
    "listings": "names of the models of large libraries that were served",
    "jobs": "work that a server had not finished",
    "remote": "bytes of models that were fetched from a hub or a server",
}


class Kept(NamedTuple):
    """One kind of what is kept."""

    kind: str
    folder: Path
    files: int
    nbytes: int


def kept(kind: str) -> Kept:
    """What is kept of a kind. Links are not followed; what cannot be seen counts as nothing."""
    folder = cache_folder() / kind
    files, nbytes = 0, 0
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                nbytes += os.lstat(os.path.join(above, name)).st_size
            except OSError:
                continue
            files += 1
    return Kept(kind, folder, files, nbytes)
