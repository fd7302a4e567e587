"""What a place of declarations declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kinprint.checkpoints.folders import Location
from kinprint.checkpoints.source import ByteSource
from kinprint.library.declarations.declaration import Declaration

MAX_BASES = 32
"""Models that are read from one place, and looked at of one model."""


@dataclass(frozen=True)
class Said:
    """What one place says.

    Attributes:
        bases: models that it was made from.
        licences: as written: identifiers, titles, or the text of a licence.
        called: what the model calls itself.
    """

    bases: tuple[Declaration, ...] = ()
    licences: tuple[str, ...] = ()
    called: str = ""


@dataclass(frozen=True)
class Place:
    """One place where a model says such things.

    Attributes:
        name: for people: "declared in NAME".
        rank: of several places that name one base, the relation of the lowest rank that states one holds.
        read: where the model lies -> what is said there; CheckpointError for what is damaged, which becomes a note.
        of_weights: whether it speaks of weights (see `Declaration`).
    """

    name: str
    rank: int
    read: Callable[[Location], Said]
    of_weights: bool = True


def in_file(location: Location, name: str, read: Callable[[ByteSource], dict[str, Any]]) -> dict[str, Any]:
    """What a file of the folder says; nothing if it is not there.

    Raises:
        CheckpointError: as `read`.
    """
    folder = location.folder
    return read(folder.source(name)) if folder.there({name}) else {}


def strings(value: object) -> tuple[str, ...]:
    """The words in what may be one, or a list of them; tables by what they call a model."""
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, dict):
        named = (value.get(key) for key in ("name", "id", "model", "path", "repo_id"))
        return next((words for word in named if (words := strings(word))), ())
    if isinstance(value, list):
        return tuple(word for item in value[: MAX_BASES + 1] if not isinstance(item, list) for word in strings(item))
    return ()
