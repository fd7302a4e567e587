"""What will be needed of many files: said beforehand, so that neighbours come together, and counted as it comes."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator

from kinprint.checkpoints.remote.sparse import SparseCopy
from kinprint.checkpoints.source import ByteSource, Span
from kinprint.errors import CheckpointError


def expect(tensors: Iterable[object]) -> Expectation:
    """Say that tensors will be read whole; those that do not know their `spans` come when they are read."""
    return Expectation(span for tensor in tensors for span in getattr(tensor, "spans", ()))


class Expectation:
    """Spans of sparse copies that will be needed; counts what of them is on disk.

    Attributes:
        total: bytes in all.
        missing: those that were to be fetched when it was made.
    """

    def __init__(self, spans: Iterable[tuple[ByteSource, Span]]) -> None:
        """Say so to the copies, which then fetch neighbours together.

        Args:
            spans: of any files; those that are here need no fetching, and do not count.

        Raises:
            CheckpointError: the disk has no room for what is missing.
        """
        self.total = self.missing = 0
        self.copies: set[SparseCopy] = set()
        for source, (start, stop) in spans:
            if isinstance(source, SparseCopy):
                self.total += stop - start
                self.missing += source.expect(start, stop)
                self.copies.add(source)
        for copy in list(self.copies)[:1]:
            free = shutil.disk_usage(copy.path.parent).free
            if free < self.missing:
                raise CheckpointError(
                    copy,
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

        for copy in self.copies:
            copy.listeners.append(tell)
        tell(0)
        try:
            yield None
        finally:
            for copy in self.copies:
                copy.listeners.remove(tell)
