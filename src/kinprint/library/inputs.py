"""Which models the names on a command line stand for, where some of them are folders of models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kinprint.checkpoints.files import clear_errors
from kinprint.checkpoints.formats import format_of
from kinprint.fingerprints.from_model import SUFFIX


def models_in(names: Iterable[str]) -> list[str]:
    """Each name once, a folder of models replaced by what lies in it, at any depth: folders with weights and `.kinprint` files.

    A folder with weights is one model. Hidden folders are left out; links are followed, each folder visited once.

    Raises:
        CheckpointError: a folder cannot be listed.
    """
    return list(dict.fromkeys(found for name in names for found in _models(name)))


def _models(name: str) -> Iterator[str]:
    if not os.path.isdir(name):
        yield name
        return
    found = sorted(_inside(Path(name), set()))
    yield from found or [name]  # whoever opens it says that there is nothing


def _inside(folder: Path, visited: set[tuple[int, int]]) -> Iterator[str]:
    with clear_errors(folder):
        status = os.stat(folder)
        entries = [Path(entry) for entry in os.scandir(folder)]
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    yield from (str(entry) for entry in entries if entry.suffix == SUFFIX and not entry.name.startswith("."))
    if any(format_of(entry.name) for entry in entries if not entry.is_dir()):
        yield str(folder)
        return
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith("."):
            yield from _inside(entry, visited)
