"""The files of a model beside each other, wherever they lie: names, and a source for each."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from kinprint.checkpoints.files import clear_errors, mode_of
from kinprint.checkpoints.source import ByteSource, LocalFile
from kinprint.errors import CheckpointError

CONFIG, CARD = "config.json", "README.md"
"""Names of a model's configuration and card."""

COMMON = ("model", "models", "checkpoint", "weights", "output", "final", "pytorch_model", "consolidated")
"""Names of folders and files that say nothing of the model in them."""

MAX_BELOW = 1000
"""Names that are looked at in a folder, for a message."""

_IN_CACHE = re.compile(r"models--(?P<org>[\w.-]+?)--(?P<name>[\w.-]+)|models--(?P<alone>[\w.-]+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)


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

    def sizes(self, names: Iterable[str]) -> Mapping[str, int]:
        """Bytes of those of some files whose size is known without opening them: for messages."""
        return {}

    def below(self) -> list[str]:
        """Names of files in folders below, as far as they are known: for messages."""
        return sorted(name for name in self.names() if "/" in name)

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

    def sizes(self, names: Iterable[str]) -> Mapping[str, int]:
        found = {}
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                found[name] = os.stat(self.path / name).st_size
        return found

    def below(self) -> list[str]:
        """One level down."""
        found = []
        for name in sorted(self.names())[:MAX_BELOW]:
            with contextlib.suppress(OSError, ValueError):
                found += [f"{name}/{file}" for file in os.listdir(self.path / name)[:MAX_BELOW]]
        return found


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

    The folder of a repository in a hub's cache (`models--org--name`) means the commit that its `refs/main` names.

    Raises:
        CheckpointError: there is nothing.
    """
    is_folder = stat.S_ISDIR(mode_of(path))
    if is_folder and (cached := _in_hub_cache(path, source)):
        return cached
    folder, only = (path, "") if is_folder else (path.parent, path.name)
    return Location(_name(Path(os.path.abspath(path))) or source, source, LocalFolder(folder), only)


def _name(path: Path) -> str:
    """What to call a model by its path; where everybody's are called so, by the folder above."""
    return path.parent.name or path.name if path.name.partition(".")[0].casefold() in COMMON else path.name


def _in_hub_cache(path: Path, source: str) -> Location | None:
    """The commit of a repository's folder in a hub's cache; None for any other folder."""
    found = _IN_CACHE.fullmatch(Path(os.path.abspath(path)).name)
    snapshots = path / "snapshots"
    if not found or not snapshots.is_dir():
        return None
    commits = sorted(name for name in LocalFolder(snapshots).names() if (snapshots / name).is_dir())
    commit = ""
    with contextlib.suppress(OSError):
        commit = (path / "refs" / "main").read_bytes()[:100].decode("ascii", "replace").strip()
    if not _COMMIT.fullmatch(commit) or commit not in commits:
        if len(commits) != 1:
            listed = ", ".join(name[:12] for name in commits[:4]) or "none"
            raise CheckpointError(
                path, f"a repository in a hub's cache whose refs/main names no snapshot (there are {listed})",
                f"give {path}/snapshots/COMMIT" if commits else "download the model again",
            )  # fmt: skip
        (commit,) = commits
    name = found["alone"] or f"{found['org']}/{found['name']}"
    return Location(name, source, LocalFolder(snapshots / commit), revision=commit)
