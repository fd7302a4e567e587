"""Local copies of files that lie elsewhere, of which only the bytes that are asked for are fetched.

A copy is a sparse file of the full size, so that everything that reads or maps ordinary files works on it, and beside it a
record of the spans that are there. A span is written into the record after its bytes are on disk: whatever ends a process,
what the record says is there, and the next process fetches the rest. Nothing here knows of networks.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import zlib
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from filelock import FileLock

from kinprint.checkpoints.files import Span, announce, clear_errors, partial_of
from kinprint.errors import CheckpointError, KinprintError

PIECE = 1 << 24
"""Bytes of one request, at most."""

BRIDGE = 1 << 16
"""A hole of so many bytes between two spans that will be needed is fetched with them: less than another request costs."""

CONNECTIONS = 8
"""Pieces of one call on their way at the same time, and of all calls together."""

_FORMAT = 1
_connections = threading.BoundedSemaphore(CONNECTIONS)


@dataclass(frozen=True)
class Remote:
    """A file that lies elsewhere.

    Attributes:
        subject: what to call it in messages.
        size: in bytes.
        version: what tells this content from any other under the same name; "" if nothing does, and what was fetched
            earlier is not used.
        read: start, stop -> offset and bytes of each chunk, in order, from start to stop. A source that can only give the
            whole file begins at 0 and goes on to its end. Raises CheckpointError.
    """

    subject: str
    size: int
    version: str
    read: Callable[[int, int], Generator[tuple[int, bytes], None, None]]


class Spans:
    """A set of bytes, as disjoint spans in order."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []

    def add(self, start: int, stop: int) -> None:
        first = bisect_left(self.stops, start)  # spans that touch become one
        last = bisect_right(self.starts, stop)
        if first < last:
            start, stop = min(start, self.starts[first]), max(stop, self.stops[last - 1])
        self.starts[first:last], self.stops[first:last] = [start], [stop]

    def within(self, start: int, stop: int) -> list[Span]:
        """What of the span from `start` to `stop` is in the set."""
        first, last = bisect_right(self.stops, start), bisect_left(self.starts, stop)
        pairs = zip(self.starts[first:last], self.stops[first:last], strict=True)
        return [(max(a, start), min(b, stop)) for a, b in pairs]

    def gaps(self, start: int, stop: int) -> list[Span]:
        """What of it is not."""
        found, position = [], start
        for a, b in self.within(start, stop):
            if a > position:
                found.append((position, a))
            position = b
        return [*found, (position, stop)] if position < stop else found


def provide(path: Path, record: Path, remote: Remote) -> None:
    """Make `path` the local copy of `remote`, with what earlier processes have fetched, and announce it.

    Args:
        path: of the copy; its name is that of the file elsewhere.
        record: what of it is there.

    Raises:
        CheckpointError: it cannot be written.
    """
    known = partial_of(path)
    if isinstance(known, SparseCopy) and known.continues(remote):
        known.remote = remote  # with the connection and the rights of today
    else:
        announce(path, SparseCopy(path, record, remote))


class SparseCopy:
    """The local copy of one file; `ensure` may be called by several threads, and several processes may share the copy."""

    def __init__(self, path: Path, record: Path, remote: Remote) -> None:
        self.path, self.record, self.remote = path, record, remote
        self.listeners: list[Callable[[int], None]] = []
        self._lock, self._alone = threading.Lock(), threading.Lock()
        self._present, self._expected = Spans(), Spans()
        self._flying: list[tuple[int, int, Future[None]]] = []
        self._read_to = 0
        self._whole = False
        with _storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            record.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{record}.lock"):
                self._head = self._usable() or self._create()
                status = os.stat(path)
        self._inode = status.st_dev, status.st_ino
        self._refresh()

    @property
    def version(self) -> str:
        return self.remote.version

    def continues(self, remote: Remote) -> bool:
        """Whether this copy is one of `remote` too, and still there."""
        same = (remote.version, remote.size) == (self.remote.version, self.remote.size)
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return same and bool(remote.version) and (status.st_dev, status.st_ino) == self._inode

    # --- what is there

    def _usable(self) -> bytes:
        """The first line of the record, if it and the copy are of this version; else nothing."""
        try:
            with open(self.record, "rb") as file:
                head = file.readline(10_000)
            told = json.loads(head)
            size = os.lstat(self.path).st_size if not self.path.is_symlink() else -1
        except (OSError, ValueError, RecursionError):
            return b""
        expected = {"kinprint": _FORMAT, "version": self.remote.version, "size": self.remote.size}
        same = isinstance(told, dict) and expected.items() <= told.items() and bool(self.remote.version)
        return head if same and size == self.remote.size and head.endswith(b"\n") else b""

    def _create(self) -> bytes:
        """An empty copy and an empty record, each moved into place; the record last, so that it never speaks of another."""
        told = {"kinprint": _FORMAT, "version": self.remote.version, "size": self.remote.size, "id": os.urandom(8).hex()}
        head = json.dumps(told).encode() + b"\n"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.record)
        for target, content, size in ((self.path, b"", self.remote.size), (self.record, head, len(head))):
            descriptor, name = tempfile.mkstemp(dir=self.record.parent, prefix=".new-")
            try:
                with open(descriptor, "wb") as file:
                    file.write(content)
                    file.truncate(size)
                os.replace(name, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        return head

    def _refresh(self) -> None:
        """Take in what this and other processes have recorded since the last look."""
        with clear_errors(self.remote.subject), open(self.record, "rb") as file:
            if file.read(len(self._head)) != self._head:
                raise self._changed()
            file.seek(max(self._read_to, len(self._head)))
            text = file.read()
        complete = text.rfind(b"\n") + 1
        self._read_to = max(self._read_to, len(self._head)) + complete
        for line in text[:complete].split(b"\n"):
            span = _parse(line)
            if span and span[0] < span[1] <= self.remote.size:
                self._present.add(*span)

    def _note(self, file: FileIO, start: int, stop: int) -> None:
        """Record a span whose bytes were written to `file`, once they are on disk."""
        if start >= stop:
            return
        os.fsync(file.fileno())
        with open(self.record, "a+b", buffering=0) as record:
            record.seek(0)
            if record.read(len(self._head)) != self._head:
                raise self._changed()
            record.write(_line(start, stop))  # behind all others, whoever writes: in one piece, as it is so short
        with self._lock:
            self._present.add(start, stop)

    def _changed(self) -> CheckpointError:
        return CheckpointError(self.remote.subject, "its local copy was replaced while it was being read", "try again")

    # --- what is needed

    def ensure(self, descriptor: int, *spans: Span) -> None:
        """Return when `spans` of the copy, opened as `descriptor`, are on disk.

        Raises:
            CheckpointError: they cannot be fetched or stored, or the copy was replaced by one of another version.
        """
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._inode:
            raise self._changed()
        while True:
            mine, others = self._claim(spans)
            if not mine and not others:
                return
            if mine:
                self._bring(mine)
            for future in others:
                with contextlib.suppress(_AbandonedError):
                    future.result()

    def expect(self, start: int, stop: int) -> int:
        """Say that a span will be needed, so that it may come with what is asked for in front of it; how much is missing."""
        with self._lock:
            self._expected.add(start, stop)
            return sum(b - a for a, b in self._present.gaps(start, stop))

    def _claim(self, spans: Iterable[Span]) -> tuple[list[tuple[int, int, Future[None]]], list[Future[None]]]:
        """The pieces that this call has to fetch, and those that others are fetching for it already."""
        with self._lock:
            missing = [gap for span in spans for gap in self._present.gaps(*span)]
            if missing:
                self._refresh()  # another process may have fetched it
                missing = [gap for span in spans for gap in self._present.gaps(*span)]
            others = [future for a, b, future in self._flying if any(a < stop and start < b for start, stop in missing)]
            mine = []
            for start, stop in _bridged(missing):
                while holes := self._unclaimed(start, stop):
                    first, last = holes[0][0], min(holes[0][0] + PIECE, holes[0][1])
                    mine.append((first, self._stretch(first, last), Future[None]()))
                    self._flying.append(mine[-1])
            return mine, others

    def _unclaimed(self, start: int, stop: int) -> list[Span]:
        claimed = Spans()
        for a, b, _ in self._flying:
            claimed.add(a, b)
        return [gap for hole in self._present.gaps(start, stop) for gap in claimed.gaps(*hole)]

    def _stretch(self, start: int, stop: int) -> int:
        """Where a piece may end that takes with it what will be needed behind it."""
        limit = start + PIECE
        for a, b in self._expected.within(stop, limit):
            for first, last in self._unclaimed(a, b):
                if first - stop > BRIDGE:
                    return stop
                stop = last
        return stop

    # --- fetching

    def _bring(self, pieces: list[tuple[int, int, Future[None]]]) -> None:
        """Fetch pieces, a few at a time; when one fails or this thread is interrupted the rest is given up."""
        queue = deque(pieces)

        def work() -> None:
            while queue:
                try:
                    start, stop, future = queue.popleft()
                except IndexError:
                    return
                try:
                    with _connections:
                        self._fetch(start, stop)
                    self._landed(future, None)
                except BaseException as error:
                    queue_left = list(queue)
                    queue.clear()
                    self._landed(future, error)
                    for _, _, other in queue_left:
                        self._landed(other, _AbandonedError())

        helpers = [threading.Thread(target=work, daemon=True) for _ in range(min(len(pieces), CONNECTIONS) - 1)]
        try:
            for helper in helpers:
                helper.start()
            work()
            for helper in helpers:
                helper.join()
        finally:  # after an interruption too
            left = list(queue)
            queue.clear()
            for _, _, future in left:
                self._landed(future, _AbandonedError())
        errors = [error for _, _, future in pieces if future.done() and (error := future.exception())]
        if errors:
            raise next((error for error in errors if not isinstance(error, _AbandonedError)), errors[0])

    def _landed(self, future: Future[None], error: BaseException | None) -> None:
        with self._lock:
            self._flying = [flight for flight in self._flying if flight[2] is not future]
        if not future.done():
            future.set_exception(error) if error is not None else future.set_result(None)

    def _fetch(self, start: int, stop: int) -> None:
        """Fetch a span and record it; what came of it is recorded even where the rest does not come."""
        if not self._whole:
            with self._writing() as file, contextlib.closing(self.remote.read(start, stop)) as chunks:
                position = start
                try:
                    for offset, chunk in chunks:
                        if offset != position:  # it gives the whole file whatever is asked for
                            self._whole = True
                            break
                        self._write(file, offset, chunk)
                        position += len(chunk)
                finally:
                    self._note(file, start, position)
                if position < stop and not self._whole:
                    raise self._short()
        if self._whole:
            with self._alone:
                if self._present.gaps(start, stop):
                    self._fetch_all()
                if self._present.gaps(start, stop):
                    raise self._short()

    def _fetch_all(self) -> None:
        """Fetch the whole file in one stream, recording it as it comes."""
        with self._writing() as file, contextlib.closing(self.remote.read(0, self.remote.size)) as chunks:
            start = position = 0
            try:
                for offset, chunk in chunks:
                    if offset != position or position - start >= PIECE:
                        self._note(file, start, position)
                        start = offset
                    self._write(file, offset, chunk)
                    position = offset + len(chunk)
            finally:
                self._note(file, start, position)

    def _short(self) -> CheckpointError:
        return CheckpointError(self.remote.subject, "fewer bytes came than were asked for", "try again")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[FileIO]:
        with _storing(self.remote.subject), open(self.path, "r+b", buffering=0) as file:
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) != self._inode:
                raise self._changed()
            yield file

    def _write(self, file: FileIO, offset: int, chunk: bytes) -> None:
        if offset + len(chunk) > self.remote.size:
            raise CheckpointError(self.remote.subject, "is larger than was said, and so has changed", "try again")
        file.seek(offset)
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]
        for listener in self.listeners:
            listener(len(chunk))


def _bridged(spans: list[Span]) -> list[Span]:
    """Spans in order, those with no more than a small hole between them as one."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start - found[-1][1] <= BRIDGE:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


class _AbandonedError(Exception):
    """A piece that was not fetched because another one could not be."""


def _line(start: int, stop: int) -> bytes:
    """A line of the record. It begins with a line break too, so that one cut off by a power failure spoils no other."""
    text = f"{start} {stop}".encode()
    return b"\n%b %08x\n" % (text, zlib.crc32(text))


def _parse(line: bytes) -> Span | None:
    text, _, check = line.rpartition(b" ")
    if b"%08x" % zlib.crc32(text) != check:
        return None
    start, stop = text.split(b" ")
    return int(start), int(stop)


@contextlib.contextmanager
def _storing(subject: object) -> Iterator[None]:
    """What the operating system says about writing the copy as a CheckpointError."""
    try:
        yield
    except KinprintError:
        raise
    except OSError as error:
        remedy = "make room, or set KINPRINT_CACHE to a folder that can be written"
        raise CheckpointError(subject, f"cannot be stored ({error.strerror or error})", remedy) from error


# --- what will be needed of many files


def expect(tensors: Iterable[object]) -> Expectation:
    """Say that tensors will be read whole; those that do not know their `spans` come when they are read."""
    return Expectation(span for tensor in tensors for span in getattr(tensor, "spans", ()))


class Expectation:
    """Spans of local copies that will be needed; counts what of them is on disk.

    Attributes:
        total: bytes in all.
        missing: those that were to be fetched when it was made.
    """

    def __init__(self, spans: Iterable[tuple[Path, Span]]) -> None:
        """Say so to the files, which then fetch neighbours together.

        Args:
            spans: of any files; ordinary ones need no fetching, and do not count.

        Raises:
            CheckpointError: the disk has no room for what is missing.
        """
        self.total = self.missing = 0
        self.files: set[SparseCopy] = set()
        for path, (start, stop) in spans:
            if isinstance(file := partial_of(path), SparseCopy):
                self.total += stop - start
                self.missing += file.expect(start, stop)
                self.files.add(file)
        for file in list(self.files)[:1]:
            free = shutil.disk_usage(file.path.parent).free
            if free < self.missing:
                raise CheckpointError(
                    file.remote.subject,
                    f"{self.missing / 1e9:,.1f} GB are needed of it and its like, and {free / 1e9:,.1f} GB are free here",
                    "make room, or set KINPRINT_CACHE to a folder on another disk",
                )

    @contextlib.contextmanager
    def watched(self, progress: Callable[[int, int], None] | None) -> Iterator[Callable[[int, int], None] | None]:
        """Call `progress` with bytes on disk and bytes in all as they come.

        Yields:
            `progress` itself, for others to call, where nothing has to come.
        """
        if progress is None or not self.missing:
            yield progress
            return
        watching = progress
        done, lock = self.total - self.missing, threading.Lock()

        def tell(count: int) -> None:
            nonlocal done
            with lock:
                done = min(done + count, self.total)  # what fills holes, or comes twice after a failure, is no progress
                watching(done, self.total)

        for file in self.files:
            file.listeners.append(tell)
        tell(0)
        try:
            yield None
        finally:
            for file in self.files:
                file.listeners.remove(tell)
