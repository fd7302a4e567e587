"""Which models of a library `gather` looks at: all of the suspect's width if they are few, else those nearest by labels."""

from __future__ import annotations

from collections.abc import Iterator

from kinprint.fingerprints import Fingerprint
from kinprint.library.store import Library
from kinprint.library.vectors import vectors

MOST = 128
"""Models that are looked at."""

SPACE = "channels"
"""Units by index: parts of a model keep its channels' labels, for their entries lie at its places."""


def candidates(suspect: Fingerprint, library: Library, most: int = MOST) -> Iterator[Fingerprint]:
    """Fingerprints of the models that may be parts of a suspect; all were searched, and p-values are corrected for all.

    Raises:
        LibraryError: the library is damaged.
    """
    hidden = suspect.stated.hidden_size
    wanted = [model.digest for model in library.models() if model.hidden_size in (hidden, None)]
    if len(wanted) > most:
        fitting, ours = set(wanted), vectors(suspect).get(SPACE)
        nearest = library.nearest(SPACE, ours, 2 * most) if ours is not None else []
        wanted = [digest for digest, _ in nearest if digest in fitting][:most]
    yield from (library.get(digest) for digest in wanted)
