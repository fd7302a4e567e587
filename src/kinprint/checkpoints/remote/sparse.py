"""A sparse copy of a file that lies elsewhere: only the bytes that are asked for are fetched.

The copy is a sparse file of the full size, so that what reads or maps an ordinary file works on it. It joins four parts:
what of it is there, on disk (`record`); which thread fetches what (`claims`); which pieces to ask for (`pieces`); and
fetching them side by side (`download`). Nothing here knows of networks.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from kinprint.checkpoints.files import open_regular
from kinprint.checkpoints.remote import pieces
from kinprint.checkpoints.remote.claims import Claims
from kinprint.checkpoints.remote.download import download
from kinprint.checkpoints.remote.record import Record
from kinprint.checkpoints.remote.session import Session, shared_session
from kinprint.checkpoints.source import ByteSource, Span
from kinprint.errors import AbandonedError, CheckpointError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

AHEAD, MOST_AHEAD = 1 << 16, 1 << 23
"""Bytes asked for at a time where a copy is read in small steps: more and more while the steps follow each other."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that lies elsewhere.

    Attributes:
        subject: what to call it in messages.
        size: in bytes.
        version: what tells this content from any other under the same name; "" if nothing does, and what was fetched
            earlier is not used.
        read: start, stop -> offset and bytes of each chunk, in order, from start to stop. A place that can only give the
            whole file begins at 0 and goes on to its end. Raises CheckpointError.
        sha256: as its place states it; "" where it states none.
    """

    subject: str
    size: int
    version: str
    read: Callable[[int, int], Generator[tuple[int, bytes], None, None]]
    sha256: str = ""


class SparseCopy(ByteSource):
    """The local copy of one file; may be used by several threads, and several processes may share it.

    Attributes:
        remote: the file elsewhere.
        path: of the copy, which has holes.
        listeners: called with the number of bytes whenever some have come.
    """

    def __init__(self, path: Path, record: Path, remote: RemoteFile, session: Session | None = None) -> None:
        """Go on with what earlier processes have fetched.

        Args:
            path: of the copy; its name is that of the file elsewhere.
            record: what of it is there.
            remote: the file.
            session: that transfers count in; that of the process by default.

        Raises:
            CheckpointError: the copy cannot be written.
        """
        self.remote, self.path = remote, path
        self.listeners: list[Callable[[int], None]] = []
        self._session = session or shared_session()
        self._record = Record(path, record, subject=remote.subject, size=remote.size, version=remote.version)
        self._claims = Claims(self._record.news)
        self._ignores_ranges = False
        self._alone = threading.Lock()

    def __str__(self) -> str:
        return self.remote.subject

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return self.remote.size

    @property
    def version(self) -> str:
        return self.remote.version

    @property
    def sha256(self) -> str:
        return self.remote.sha256

    @property
    def partial(self) -> bool:
        return True

    def identity(self) -> bytes:
        """Name, size and version elsewhere."""
        version = self.version or os.urandom(16).hex()  # without one it is like no other
        return json.dumps([self.name, self.size, "version", version]).encode()

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        with open_regular(self.path, buffered=False) as file:  # a buffer would hold bytes from before they came
            yield cast(BinaryIO, io.BufferedReader(_Reader(file, self)))

    def ensure(self, descriptor: int, *spans: Span) -> None:
        self._record.check(descriptor)
        while True:
            own, others = self._claims.claim(spans)
            if not own and not others:
                return
            if own:
                download(own, self._fetch, self._claims.land, self._session.connections)
            for piece in others:
                with contextlib.suppress(AbandonedError):
                    piece.arrived.result()

    def expect(self, start: int, stop: int) -> int:
        """Say that a span will be needed, so that it may come with what is asked for in front of it; how much is missing."""
        return self._claims.expect(start, stop)

    def _fetch(self, start: int, stop: int) -> None:
        """Fetch a span and record it; what came of it is recorded even where the rest does not come."""
        if not self._ignores_ranges:
            position = self._store(start, stop)
            if position < stop and not self._ignores_ranges:
                raise self._short()
        if self._ignores_ranges:
            with self._alone:
                if self._claims.missing([(start, stop)]):
                    self._fetch_all()
                if self._claims.missing([(start, stop)]):
                    raise self._short()

    def _store(self, start: int, stop: int) -> int:
        """Store what is sent of a span, and return where that ends; nothing where the whole file is sent instead."""
        position = start
        with self._record.writing() as file, contextlib.closing(self.remote.read(start, stop)) as chunks:
            try:
                for offset, chunk in chunks:
                    if offset != position:
                        self._ignores_ranges = True
                        break
                    self._write(file, offset, chunk)
                    position += len(chunk)
            finally:
                self._note(file, start, position)
        return position

    def _fetch_all(self) -> None:
        """Fetch the whole file in one stream, recording it as it comes."""
        with self._record.writing() as file, contextlib.closing(self.remote.read(0, self.remote.size)) as chunks:
            start = position = 0
            try:
                for offset, chunk in chunks:
                    if offset != position or position - start >= pieces.PIECE:
                        self._note(file, start, position)
                        start = offset
                    self._write(file, offset, chunk)
                    position = offset + len(chunk)
            finally:
                self._note(file, start, position)

    def _write(self, file: io.FileIO, offset: int, chunk: bytes) -> None:
        self._record.write(file, offset, chunk)
        for listener in self.listeners:
            listener(len(chunk))

    def _note(self, file: io.FileIO, start: int, stop: int) -> None:
        if start < stop:
            self._record.note(file, start, stop)
            self._claims.arrived(start, stop)

    def _short(self) -> CheckpointError:
        return CheckpointError(self, "fewer bytes came than were asked for", "try again")


def open_sparse(root: Path, name: str, remote: RemoteFile, session: Session | None = None) -> SparseCopy:
    """The copy of the file `name` of a place whose copies and records lie below `root`.

    Raises:
        CheckpointError: it cannot be written, or its name leads out of the folder.
    """
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name:
        raise CheckpointError(remote.subject, f"a file of the name {name}, which leads out of its folder", "do not trust it")
    return SparseCopy(root / "files" / name, root / "ranges" / name, remote, session)


class _Reader(io.RawIOBase):
    """Reads a copy after fetching its bytes."""

    def __init__(self, file: IO[bytes], source: ByteSource) -> None:
        self.file, self.source = file, source
        self.size = os.fstat(file.fileno()).st_size
        self.ahead, self.end = AHEAD, -1

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        start = self.file.tell()
        stop = min(start + len(view), self.size)
        if stop > start:
            self.ahead = min(2 * self.ahead, MOST_AHEAD) if start == self.end else AHEAD
            self.source.ensure(self.file.fileno(), (start, min(max(stop, start + self.ahead), self.size)))
        data = self.file.read(max(stop - start, 0))
        view[: len(data)] = data
        self.end = start + len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def fileno(self) -> int:
        return self.file.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
