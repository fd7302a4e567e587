"""The spaces of index vectors: what the columns of a library are. `vectors` says what the vectors mean."""

from __future__ import annotations

from collections.abc import Mapping

VERSION = 2
"""Raised when vectors change their meaning: those of other versions lie elsewhere."""

DIMENSIONS: Mapping[str, int] = {"channels": 128, "neurons": 128, "forms": 256, "signs": 256, "readings": 256}
"""Length of the vectors of each space. Powers of two."""


def dimensions(label: str) -> int:
    """Length of the vectors that a cosine is of: "forms", or "forms of the vision tower"."""
    return DIMENSIONS[label.partition(" ")[0]]
