"""Models in the folders that the server was given, each with an id by which requests name it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from kinprint.errors import CheckpointError

DEEPEST = 4
"""Folders within a configured folder."""

MOST = 10_000
"""Models that are listed."""


@dataclass(frozen=True)
class FolderModel:
    """A model of a configured folder.

    Attributes:
        id: in the API; a hash of its path.
        name: path within the configured folder, whose own name comes first.
        path: where it lies; never shown.
    """

    id: str
    name: str
    path: Path


class Folders:
    """The configured folders, without the targets of links that leave them."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [root.resolve() for root in roots]

    def list(self) -> list[FolderModel]:
        """The models that are there now."""
        models = []
        for root in self._roots:
            for path in _models(root):
                name = f"{root.name}/{path.relative_to(root)}" if path != root else root.name
                models.append(FolderModel(blake3(os.fsencode(path)).hexdigest()[:32], name, path))
                if len(models) == MOST:
                    return models
        return models


def _models(root: Path) -> Iterator[Path]:
    """Those in a configured folder, which may be gone by now; links are not followed."""
    from kinprint.library.model_folders import models_below

    with contextlib.suppress(CheckpointError):
        yield from models_below(root, deepest=DEEPEST, follow=False, patient=True)
