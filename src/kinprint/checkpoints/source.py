"""The bytes of one file, wherever it lies. Whoever reads a model's files is given sources and opens no paths.

A file here is a `LocalFile`. A file elsewhere is a `kinprint.checkpoints.remote.sparse.SparseCopy`, whose bytes are fetched
when they are needed: whatever goes through a source is there when it is read.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kinprint.checkpoints.files import clear_errors, open_regular, size_of
from kinprint.errors import CheckpointError

Span = tuple[int, int]
"""Bytes of a file: the first, and the one after the last."""

EDGE = 1 << 16
"""Bytes at each end of a file that its identity depends on. The header of a checkpoint is at one of them."""


class ByteSource(ABC):
    """One file. As text (`str`) it is what messages call it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The file's name, without folders."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes in all; CheckpointError if the file is not there, or no regular file."""

    @abstractmethod
    def identity(self) -> bytes:
        """What tells this content from any other, without reading all of it.

        Raises:
            CheckpointError: the file cannot be read.
        """

    @abstractmethod
    def open(self) -> AbstractContextManager[BinaryIO]:
        """The file, opened for reading; CheckpointError if it cannot be."""

    @abstractmethod
    def ensure(self, descriptor: int, *spans: Span) -> None:
        """Return when `spans` of the file that was opened as `descriptor` are on disk; in a file here they always are.

        Raises:
            CheckpointError: they cannot be fetched, or are no longer those of the file that was opened.
        """

    @property
    def partial(self) -> bool:
        """Whether reading all of it may have to fetch some of it."""
        return False

    @property
    def version(self) -> str:
        """What its place says that tells this content from any other; "" for files here, which say nothing."""
        return ""

    @property
    def sha256(self) -> str:
        """The SHA-256 that its place states; "" where it states none."""
        return ""

    def prefetch(self, *spans: Span) -> None:
        """Fetch `spans` in one go where they have to be fetched: quicker than one after the other, and never needed."""
        with self.open() as file:
            self.ensure(file.fileno(), *spans)

    def read(self, limit: int) -> bytes:
        """All bytes; CheckpointError if there are more than `limit`."""
        with self.open() as file:
            # its size first, so that nothing of a file that is too large is fetched; then what it really holds
            if os.fstat(file.fileno()).st_size <= limit and len(data := file.read(limit + 1)) <= limit:
                return data
        raise CheckpointError(self, f"larger than the {limit:,} bytes allowed for such a file", "check that it is one")

    def map(self, start: int, stop: int, size: int) -> memoryview:
        """The bytes from `start` to `stop`, read-only: a mapping that lives as long as the view.

        Args:
            start, stop: within the file, and not equal.
            size: of the file when `start` and `stop` were checked against it.

        Raises:
            CheckpointError: the file is gone or no longer of that size, or the bytes cannot be fetched.
        """
        first = start - start % mmap.ALLOCATIONGRANULARITY
        with self.open() as file:
            # Touching a page beyond the end of the file would kill the process, so a changed file is an error here.
            if os.fstat(file.fileno()).st_size != size:
                raise CheckpointError(self, "changed while it was being read", "try again when it is complete")
            self.ensure(file.fileno(), (start, stop))
            mapping = _map(file.fileno(), stop - first, first)
        return memoryview(mapping)[start - first :]


@dataclass(frozen=True)
class LocalFile(ByteSource):
    """A file on this disk.

    Attributes:
        path: where; links on it are followed.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return size_of(self.path)

    def identity(self) -> bytes:
        """Name, size, time and both ends."""
        with clear_errors(self.path), self.open() as file:
            status = os.fstat(file.fileno())
            told = json.dumps([self.name, status.st_size, status.st_mtime_ns]).encode()
            start = file.read(EDGE)
            file.seek(max(status.st_size - EDGE, 0))
            return told + start + file.read(EDGE)

    def open(self) -> AbstractContextManager[BinaryIO]:
        return open_regular(self.path)

    def ensure(self, descriptor: int, *spans: Span) -> None:
        """They are there."""

    def prefetch(self, *spans: Span) -> None:
        """They are there."""


def _map(descriptor: int, length: int, offset: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):  # otherwise every mapping keeps a file descriptor of its own
        return mmap.mmap(descriptor, length, access=mmap.ACCESS_READ, offset=offset, trackfd=False)
    return mmap.mmap(descriptor, length, access=mmap.ACCESS_READ, offset=offset)
