"""What pages and API share: the library, fingerprints uploaded or measured since the start, and work with a bound on it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

from kinprint.comparison import Comparison, examine
from kinprint.errors import BusyError, UnknownError
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.library import Library
from kinprint.library.identify import Identification, identify
from kinprint.library.trees.tree import Forest, tree
from kinprint.library.vectors import vectors
from kinprint.server.catalogue import Catalogue
from kinprint.server.fingerprint_cache import FingerprintCache
from kinprint.server.folders import Folders
from kinprint.server.runs import Progress, Run, Runs
from kinprint.server.settings import Settings
from kinprint.terms import CANDIDATES

T = TypeVar("T")

AT_ONCE = 2
"""Comparisons and searches under way; each uses a processor."""

IN_TREE = 8
"""Models of a tree: every pair may have to be compared."""

WAITING = 32
"""Comparisons and searches that wait for their turn; further ones are refused."""

REMEMBERED = 256
"""Results kept for whoever asks again."""

VECTORS = 10_000
"""Models whose index vectors are kept: four thousand bytes each."""

DIGEST = re.compile(r"[0-9a-f]{64}")


AT_MOST = 1.0
"""Seconds that a page waits for a search before it shows how far it is."""


class Service:
    """Safe to use from threads.

    Raises:
        LibraryError: the library cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.library = Library.open(settings.library)
        self.catalogue = Catalogue(self.library)
        self.folders = Folders(settings.folders)
        self.shelf = FingerprintCache()
        self.runs, self.searches = Runs(1), Runs(AT_ONCE)
        self._vectors = lru_cache(VECTORS)(lambda digest: vectors(self.fingerprint(digest)))
        self._results: OrderedDict[tuple[str, ...], object] = OrderedDict()
        self._lock = Lock()
        self._turns, self._waiting = BoundedSemaphore(AT_ONCE), BoundedSemaphore(AT_ONCE + WAITING)

    def keep(self, fingerprint: Fingerprint) -> str:
        """Hold a fingerprint; in the library too, where that may be written."""
        if self.settings.writable:
            self.library.add([fingerprint])
            self.catalogue.refresh()
        return self.shelf.put(fingerprint)

    def fingerprint(self, digest: str) -> Fingerprint:
        """The fingerprint of a digest, from the shelf or the library.

        Raises:
            UnknownError: there is none.
            LibraryError: it cannot be read.
        """
        fingerprint = self.shelf.get(digest)
        if fingerprint is None:
            if not DIGEST.fullmatch(digest) or digest not in self.library:
                raise UnknownError(digest, "no such fingerprint here", "search for the model, or upload its fingerprint")
            fingerprint = self.library.get(digest)
            self.shelf.put(fingerprint)
        return fingerprint

    def compare(self, reference: str, suspect: str) -> Comparison:
        """Compare two fingerprints, given by digest."""
        pair = self.fingerprint(reference), self.fingerprint(suspect)
        return self._remembered(("compare", reference, suspect), lambda: examine(pair))

    def identify(self, suspect: str, candidates: int, progress: Progress = lambda done, total: None) -> Identification:
        """Relatives of a fingerprint, given by digest; remembered until the library changes."""
        fingerprint = self.fingerprint(suspect)

        def work() -> Identification:
            return identify(
                fingerprint,
                self.library,
                candidates=candidates,
                test_all=True,  # whoever asks may have uploaded the model to this library before
                cache=True,
                workers=1,
                progress=lambda _, done, total: progress(done, total),
            )

        return self._remembered(self._searched(suspect, candidates), work)

    def search(self, suspect: str) -> Run | None:
        """Begin to look for the relatives of a fingerprint, given by digest; None where they are remembered.

        Raises:
            BusyError: too many searches are waiting.
        """
        if self._searched(suspect, CANDIDATES) in self._results:
            return None

        def work(progress: Progress) -> str:
            self.identify(suspect, CANDIDATES, progress)
            return suspect

        run = self.searches.start(self.fingerprint(suspect).name, work, suspect)
        return self.searches.wait(run.id, AT_MOST)

    def run(self, key: str) -> Run | None:
        """A fingerprint or a search under way or ended lately; None if there is none of this id."""
        return self.runs.get(key) or self.searches.get(key)

    def cancel(self, key: str) -> Run | None:
        """Stop one that has not ended; None if there is none of this id."""
        return self.runs.cancel(key) or self.searches.cancel(key)

    def tree(self, digest: str) -> Forest | None:
        """The tree of a model and its nearest relatives, IN_TREE at most; None if it has none."""
        identification = self.identify(digest, CANDIDATES)
        others = [finding.digest for finding in identification.relatives if finding.digest != digest][: IN_TREE - 1]
        models = [self.fingerprint(each) for each in (digest, *others)]
        if len(models) < 2:
            return None
        return self._remembered(("tree", *(model.digest for model in models)), lambda: tree(models, cache=True, workers=1))

    def neighbours(self, digest: str, count: int) -> list[dict[str, Any]]:
        """Models whose index vectors lie nearest, for each space; the model itself left out."""
        vectors = self._vectors(digest)
        near = [
            {"digest": neighbour, "space": space, "similarity": similarity}
            for space, vector in vectors.items()
            for neighbour, similarity in self.library.nearest(space, vector, count + 1)
            if neighbour != digest
        ]
        return [{**row, "name": self.catalogue.name(str(row["digest"]))} for row in near]

    def measure(self, checkpoint: str) -> Run:
        """Begin to fingerprint a model of the configured folders, given by its id.

        Raises:
            UnknownError: there is none of this id.
            BusyError: too many are waiting.
        """
        path = self.folders.path(checkpoint)
        if path is None:
            raise UnknownError(checkpoint, "no such model in the folders of this server", "see /api/checkpoints")
        return self.runs.start(path.name, lambda progress: self.keep(fingerprint(path, progress=progress)))

    def close(self) -> None:
        self.runs.close()
        self.searches.close()

    def _searched(self, suspect: str, candidates: int) -> tuple[str, ...]:
        return ("identify", suspect, str(candidates), self.catalogue.version)

    def _remembered(self, key: tuple[str, ...], work: Callable[[], T]) -> T:
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]  # type: ignore[return-value]  # the key says what it is
        with self._turn():
            result = work()
        with self._lock:
            self._results[key] = result
            while len(self._results) > REMEMBERED:
                self._results.popitem(last=False)
        return result

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise BusyError(
                "the server", f"{AT_ONCE + WAITING} comparisons and searches are under way", "try again in a few seconds"
            )
        try:
            with self._turns:
                yield
        finally:
            self._waiting.release()
