"""The files of a model beside each other, wherever they lie: names, and a source for each."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from kinprint.checkpoints.files import clear_errors, mode_of
from kinprint.checkpoints.source import ByteSource, LocalFile

CONFIG, CARD = "config.json", "README.md"
"""Names of a model's configuration and card."""


class ModelFolder(ABC):
    """A folder. As text (`str`) it is what messages call it. Names are relative paths with forward slashes."""

    @abstractmethod
    def names(self) -> AbstractSet[str]:
        """What is in it, as far as it can be listed; CheckpointError if it cannot be."""

    @abstractmethod
    def there(self, names: Iterable[str]) -> set[str]:
        """Which of some names are there, whether or not they can be listed."""

    @abstractmethod
    def sources(self, names: Iterable[str]) -> tuple[ByteSource, ...]:
        """The files of these names, in their order; CheckpointError if one cannot be had, now or when it is opened."""

    def source(self, name: str) -> ByteSource:
        """The file of one name; CheckpointError as `sources`."""
        return self.sources([name])[0]


@dataclass(frozen=True)
class LocalFolder(ModelFolder):
    """A folder on this disk.

    Attributes:
        path: where; links are followed.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> AbstractSet[str]:
        with clear_errors(self.path):
            return set(os.listdir(self.path))

    def there(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if os.path.lexists(self.path / name)}

    def sources(self, names: Iterable[str]) -> tuple[ByteSource, ...]:
        return tuple(LocalFile(self.path / name) for name in names)


@dataclass(frozen=True)
class Location:
    """Where a model lies that the user has named.

    Attributes:
        name: short, for people.
        source: what the user gave, without what should not be shown.
        folder: of its files.
        only: the weights file or index in it that the user has named; "" for what the folder holds.
        revision: the commit, on a hub.
    """

    name: str
    source: str
    folder: ModelFolder
    only: str = ""
    revision: str = ""


def local(path: Path, source: str) -> Location:
    """A folder or a file on this disk, called `source` by the user.

    Raises:
        CheckpointError: there is nothing.
    """
    is_folder = stat.S_ISDIR(mode_of(path))
    folder, only = (path, "") if is_folder else (path.parent, path.name)
    return Location(Path(os.path.abspath(path)).name or source, source, LocalFolder(folder), only)
