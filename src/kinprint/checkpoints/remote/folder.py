"""A folder that lies elsewhere. Its files are read through sparse copies in kinprint's cache, in which nothing is at first."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from blake3 import blake3

from kinprint.checkpoints.files import cache_folder
from kinprint.checkpoints.folders import CARD, CONFIG, ModelFolder
from kinprint.checkpoints.foreign_config import FILES as FOREIGN
from kinprint.checkpoints.remote.sparse import RemoteFile, open_sparse
from kinprint.checkpoints.source import ByteSource, LocalFile
from kinprint.checkpoints.tokenizer import FORMS
from kinprint.checkpoints.weight_choice import ADAPTER_CONFIG, ADAPTER_WEIGHTS, standard_names
from kinprint.errors import CheckpointError, KinprintError

BESIDE = frozenset({CONFIG, CARD, ADAPTER_CONFIG, *FOREIGN, *(file for form in FORMS for file in form)})
"""Names of what may lie beside weights."""


@dataclass(eq=False)
class RemoteFolder(ModelFolder):
    """A folder that lies elsewhere.

    Attributes:
        subject: what to call it in messages.
        root: below it lie the copies of its files, and the records of what is in them.
        exists: which of some relative paths are files there.
        file: one of them; CheckpointError if it cannot be had.
        listing: relative paths of its files; None where a place cannot list them, and names are tried.
        only: the one file that is meant, or "": then no other names of weights are tried.
        whole: where such a file lies on this disk already, if it does.
        known_sizes: relative path -> bytes, as far as the listing says.
        opened: told about all files that are read through sparse copies, whenever files have been opened.
    """

    subject: str
    root: Path
    exists: Callable[[Iterable[str]], set[str]]
    file: Callable[[str], RemoteFile]
    listing: AbstractSet[str] | None = None
    only: str = ""
    whole: Callable[[str], Path | None] = lambda name: None
    known_sizes: Mapping[str, int] = field(default_factory=dict)
    opened: Callable[[Mapping[str, RemoteFile]], None] = lambda files: None
    _files: dict[str, RemoteFile] = field(default_factory=dict)
    _sources: dict[str, ByteSource] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        return self.subject

    def names(self) -> AbstractSet[str]:
        """What is listed; where nothing is, those there of the names that models have by custom."""
        if self.listing is not None:
            return self.listing
        return self.exists(BESIDE | ({self.only} if self.only else standard_names() | set(ADAPTER_WEIGHTS)))

    def sizes(self, names: Iterable[str]) -> Mapping[str, int]:
        return {name: self.known_sizes[name] for name in names if name in self.known_sizes}

    def below(self) -> list[str]:
        return sorted(name for name in self.listing or () if "/" in name)

    def there(self, names: Iterable[str]) -> set[str]:
        return self.exists(names)

    def sources(self, names: Iterable[str]) -> tuple[ByteSource, ...]:
        names = list(names)
        with self._lock:
            if new := [name for name in dict.fromkeys(names) if name not in self._sources]:
                self._sources |= {name: self._source(name) for name in new}
                self.opened(self._files)
            return tuple(self._sources[name] for name in names)

    def _source(self, name: str) -> ByteSource:
        """The whole file where it lies on this disk, else its sparse copy."""
        if (whole := self.whole(name)) is not None:
            return LocalFile(whole)
        self._files[name] = self.file(name)
        return open_sparse(self.root, name, self._files[name])


def cache_root(name: str, place: str) -> Path:
    """Where the copies of a place's files lie.

    Args:
        name: for people.
        place: what tells it from any other place, and from its other states where these have names of their own.
    """
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", name)[:60].strip(".-")
    return cache_folder() / "remote" / f"{readable}-{blake3(place.encode()).hexdigest()[:16]}"


def explained(remote: RemoteFile, explain: Callable[[Exception], CheckpointError]) -> RemoteFile:
    """`remote` with whatever its source raises turned into one CheckpointError."""

    def read(start: int, stop: int) -> Generator[tuple[int, bytes], None, None]:
        try:
            yield from remote.read(start, stop)
        except KinprintError:
            raise
        except Exception as error:
            raise explain(error) from error

    return replace(remote, read=read)
