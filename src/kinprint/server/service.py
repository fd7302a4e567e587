"""What pages and API share: the library, fingerprints uploaded or measured since the start, and work with a bound on it.

LanceDB and what compares take seconds to import. A thread does that while the first pages are answered: they need the names
of models alone, which a library's listing has.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeVar

from kinprint.errors import BusyError, KinprintError, UnknownError
from kinprint.fingerprints import Fingerprint
from kinprint.library import Library
from kinprint.library.records import ListedModel
from kinprint.server import uploads
from kinprint.server.bounded import Bounded
from kinprint.server.catalogue import Catalogue
from kinprint.server.folders import FolderModel, Folders
from kinprint.server.jobs import Job, Jobs, Kind, Progress, Work, new
from kinprint.server.metrics import Metrics
from kinprint.server.names import Names
from kinprint.server.settings import Settings
from kinprint.server.unfinished import Entry, Unfinished
from kinprint.terms import CANDIDATES

if TYPE_CHECKING:
    from kinprint.comparison import Comparison
    from kinprint.library.identify import Identification
    from kinprint.library.trees.tree import Forest
    from kinprint.library.vectors import Vector

T = TypeVar("T")

AT_ONCE = 2
"""Comparisons and searches under way; each uses a processor."""

LONGEST = 1800.0
"""Seconds that one of them may take as a job: a stranger's fingerprint may be made to take long."""

IN_TREE = 8
"""Models of a tree: every pair may have to be compared."""

WAITING = 32
"""Comparisons and searches that wait for their turn; further ones are refused."""

HELD_BYTES, HELD = 512_000_000, 4096
"""Of the fingerprints that were uploaded, measured or read lately, by their traits."""

REMEMBERED_BYTES, REMEMBERED = 512_000_000, 256
"""Of the results kept for whoever asks again; each keeps its fingerprints, and counts with them."""

VECTORS = 10_000
"""Models whose index vectors are kept: four thousand bytes each."""

TRIES = 2
"""Times that the server may have ended while a job ran; it is not begun again after that, for it may be the reason."""

AT_MOST = 1.0
"""Seconds that a page waits for a job before it shows how far it is."""

DIGEST = re.compile(r"[0-9a-f]{64}")

Key = tuple[str, ...]

HEAVY = (
    "kinprint.comparison",
    "kinprint.fingerprints.from_model",
    "kinprint.library.identify",
    "kinprint.library.model_folders",
    "kinprint.library.trees.tree",
    "kinprint.library.vectors",
    "kinprint.reports.comparison_html",
    "kinprint.reports.tree_html",
)
"""Modules that need seconds to import."""


class Service:
    """Safe to use from threads.

    Raises:
        LibraryError: the library cannot be opened.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._names = Names(settings.library)
        self._listing = self._names.read()
        opener = ThreadPoolExecutor(1, thread_name_prefix="opening")
        self._opening = opener.submit(Library.open, settings.library)
        if self._listing is None:
            self._opening.result()
        self.catalogue = Catalogue(self._version, self._models)
        self._importing = opener.submit(_import)  # not before: it would only keep the first page waiting
        opener.shutdown(wait=False)
        self._folders = Folders(settings.folders)
        self.held = Bounded[str, Fingerprint](HELD_BYTES, HELD)
        self.unfinished = Unfinished(settings.library)
        self.measuring = Jobs(1, record=self.unfinished)
        self.comparing = Jobs(AT_ONCE, LONGEST, self.unfinished)
        self.metrics = Metrics()
        self._vectors = lru_cache(VECTORS)(self._vectors_of)
        self._results = Bounded[Key, tuple[Any]](REMEMBERED_BYTES, REMEMBERED)
        self._turns, self._waiting = BoundedSemaphore(AT_ONCE), BoundedSemaphore(AT_ONCE + WAITING)
        self._uploads = BoundedSemaphore(uploads.AT_ONCE)

    @property
    def library(self) -> Library:
        """The library, as soon as it is open."""
        return self._opening.result()

    def keep(self, fingerprint: Fingerprint) -> str:
        """Hold a fingerprint; in the library too, where that may be written. Returns its digest."""
        if self.settings.writable:
            self.library.add([fingerprint])
            self.catalogue.refresh()
        self.held.put(fingerprint.digest, fingerprint, _size(fingerprint))
        return fingerprint.digest

    def receive(self, data: bytes) -> Fingerprint:
        """Hold the fingerprint in the bytes of a file.

        Raises:
            FingerprintError: they are none.
        """
        self.metrics.upload(len(data))
        fingerprint = uploads.fingerprint_of(data)
        self.keep(fingerprint)
        return fingerprint

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """While a file is received.

        Raises:
            BusyError: too many are.
        """
        if not self._uploads.acquire(blocking=False):
            raise BusyError("the server", f"{uploads.AT_ONCE} files are being received", "try again in a few seconds")
        try:
            yield
        finally:
            self._uploads.release()

    def fingerprint(self, digest: str) -> Fingerprint:
        """The fingerprint of a digest, from memory or the library.

        Raises:
            UnknownError: there is none.
            LibraryError: it cannot be read.
        """
        fingerprint = self.held.get(digest)
        if fingerprint is None:
            if not DIGEST.fullmatch(digest) or digest not in self.library:
                raise UnknownError(digest, "no such fingerprint here", "search for the model, or upload its fingerprint")
            fingerprint = self.library.get(digest)
            self.held.put(digest, fingerprint, _size(fingerprint))
        return fingerprint

    def compare(self, reference: str, suspect: str, progress: Progress | None = None) -> Comparison:
        """Compare two fingerprints, given by digest."""
        tell = progress or _within(LONGEST)

        def work(a: Fingerprint, b: Fingerprint) -> Comparison:
            from kinprint.comparison import examine

            return examine((a, b), progress=lambda _, done, total: tell(done, total))

        return self._remembered(("comparison", reference, suspect), work, reference, suspect)

    def identify(self, suspect: str, candidates: int, progress: Progress | None = None) -> Identification:
        """Relatives of a fingerprint, given by digest; remembered until the library changes."""
        tell = progress or _within(LONGEST)

        def work(fingerprint: Fingerprint) -> Identification:
            from kinprint.library.identify import identify

            return identify(
                fingerprint,
                self.library,
                candidates=candidates,
                test_all=True,  # whoever asks may have uploaded the model to this library before
                cache=True,
                workers=1,
                progress=lambda _, done, total: tell(done, total),
            )

        return self._remembered(self._searched(suspect, candidates), work, suspect)

    def tree(self, digest: str, progress: Progress | None = None) -> Forest | None:
        """The tree of a model and its nearest relatives, IN_TREE at most; None if it has none."""
        tell = progress or _within(LONGEST)
        identification = self.identify(digest, CANDIDATES, tell)
        others = [finding.digest for finding in identification.relatives if finding.digest != digest][: IN_TREE - 1]

        def work(*models: Fingerprint) -> Forest | None:
            from kinprint.library.trees.tree import tree

            if len(models) < 2:
                return None
            return tree(models, cache=True, workers=1, progress=lambda _, done, total: tell(done, total))

        return self._remembered(self._grown(digest), work, digest, *others)

    def begun(self, kind: Kind, *digests: str) -> Job | None:
        """As `begin`, for a page that shows the result itself: None where that is remembered."""
        searched, grown = self._searched(digests[0], CANDIDATES), self._grown(digests[0])
        needs = {"comparison": [("comparison", *digests)], "search": [searched]}.get(kind, [searched, grown])
        return None if all(key in self._results for key in needs) else self.begin(kind, *digests)

    def begin(self, kind: Kind, *digests: str) -> Job:
        """Begin a comparison of two fingerprints, or a search for the relatives of one, its tree or its report.

        Returns:
            the job when it has ended, or as it is after AT_MOST.

        Raises:
            UnknownError: there is no such fingerprint.
            BusyError: too many jobs are waiting.
        """
        names = " and ".join(self.fingerprint(digest).name for digest in digests)
        return self.comparing.wait(self._started(kind, digests, names).id, AT_MOST)

    def again(self, entry: Entry, kind: Kind, named: tuple[str, ...]) -> Job:
        """Begin again what an earlier server has not finished; what it needs is looked for when its turn comes.

        Args:
            entry: of the record.
            kind, named: what it asks for, as `measure` and `begin` take it.

        Raises:
            BusyError: too many are waiting.
        """
        if kind == "fingerprint":
            return self._measuring(named[0], "a model of the folders", entry)
        return self._started(kind, named, " and ".join(self.catalogue.name(digest) or digest[:12] for digest in named), entry)

    def _started(self, kind: Kind, digests: tuple[str, ...], names: str, again: Entry | None = None) -> Job:
        """A job on fingerprints, named by digest."""
        first = digests[0]

        def work(progress: Progress) -> None:
            if kind == "comparison":
                self.compare(first, digests[1], progress)
            elif kind == "search":
                self.identify(first, CANDIDATES, progress)
            else:
                self.tree(first, progress)

        unit = {"comparison": "tests and scores", "search": "models"}.get(kind, "models or pairs")
        job = new(kind, names, place(kind, *digests), unit, "" if kind == "comparison" else first, again)
        gone = "an upload held in memory, or a model that was removed since", "upload its fingerprint again"
        return self.comparing.start(job, _careful(work, again, names, gone), (kind, *digests), _entry(job, digests, again))

    def job(self, name: str) -> Job | None:
        """A job that waits, runs or has ended lately; None if there is none of this id."""
        return self.measuring.get(name) or self.comparing.get(name)

    def cancel(self, name: str) -> Job | None:
        """Stop one that has not ended; None if there is none of this id."""
        return self.measuring.cancel(name) or self.comparing.cancel(name)

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

    def checkpoints(self) -> list[FolderModel]:
        """Models of the configured folders."""
        self._importing.result()  # what looks into folders, too
        return self._folders.list()

    def measure(self, checkpoint: str) -> Job:
        """Begin to fingerprint a model of the configured folders, given by its id.

        Raises:
            UnknownError: there is none of this id.
            BusyError: too many are waiting.
        """
        return self._measuring(checkpoint, self._checkpoint(checkpoint).name)

    def _checkpoint(self, checkpoint: str) -> FolderModel:
        found = next((model for model in self.checkpoints() if model.id == checkpoint), None)
        if found is None:
            raise UnknownError(checkpoint, "no such model in the folders of this server", "see /api/checkpoints")
        return found

    def _measuring(self, checkpoint: str, name: str, again: Entry | None = None) -> Job:
        """The job that fingerprints a model of the folders."""

        def work(progress: Progress) -> dict[str, str]:
            found = self._checkpoint(checkpoint)
            from kinprint.fingerprints import fingerprint

            digest = self.keep(fingerprint(found.path, progress=progress))
            return {"model": found.name, "digest": digest, "place": f"/models/{digest}"}

        job = new("fingerprint", name, unit="bytes", again=again)
        gone = "its folder was moved or removed", "choose it again from the list of models"
        return self.measuring.start(job, _careful(work, again, name, gone), checkpoint, _entry(job, (checkpoint,), again))

    def counts(self) -> str:
        """What `/metrics` answers."""
        return self.metrics.text(self.comparing.counts() | self.measuring.counts(), self.catalogue.total)

    def close(self) -> None:
        self.measuring.close()
        self.comparing.close()
        self.unfinished.close()

    def _version(self) -> str:
        return str(self._listing.version) if self._listing and not self._opening.done() else self.library.version

    def _models(self) -> list[ListedModel]:
        if self._listing and not self._opening.done():
            return self._listing.models
        return self._names.keep(lambda: list(self.library.listed()))

    def _vectors_of(self, digest: str) -> Mapping[str, Vector]:
        self._importing.result()
        from kinprint.library.vectors import vectors

        return vectors(self.fingerprint(digest))

    def _searched(self, suspect: str, candidates: int) -> Key:
        return ("search", suspect, str(candidates), self.catalogue.version)

    def _grown(self, digest: str) -> Key:
        return ("tree", digest, self.catalogue.version)

    def _remembered(self, key: Key, work: Callable[..., T], *digests: str) -> T:
        """A result, worked out in turn. It counts with its fingerprints, which it may keep alive; who waits keeps none."""
        for digest in digests:
            self.fingerprint(digest)  # what is not there is said at once
        if (kept := self._results.get(key)) is not None:
            return kept[0]  # type: ignore[no-any-return]  # the key says what it is
        with self._turn():
            self._importing.result()
            models = [self.fingerprint(digest) for digest in digests]
            result = work(*models)
        self._results.put(key, (result,), sum(map(_size, models)))
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


def _entry(job: Job, named: tuple[str, ...], again: Entry | None) -> Entry:
    """What the record says of a job: what `POST /api/jobs` takes for it."""
    keys = {"fingerprint": ("checkpoint",), "comparison": ("reference", "suspect")}.get(job.kind, ("suspect",))
    return Entry(job.id, {"kind": job.kind, **dict(zip(keys, named, strict=True))}, again.tries if again else 0)


def _careful(work: Callable[[Progress], Any], again: Entry | None, names: str, gone: tuple[str, str]) -> Work:
    """The work of a job. One that is begun again says clearly what is not there any more, and is not begun for ever.

    Args:
        gone: what is the likely reason, and what to do.
    """
    if again is None:
        return work

    def resumed(progress: Progress) -> dict[str, str] | None:
        if again.tries >= TRIES:
            problem = f"the server ended {again.tries} times while this ran, so it is not begun again"
            raise KinprintError(names, problem, "the command line shows why")
        try:
            return work(progress)  # type: ignore[no-any-return]  # as `Work` says
        except UnknownError as error:
            reason, remedy = gone
            raise UnknownError(names, f"no longer here since the server was started again ({reason})", remedy) from error

    return resumed


def place(kind: Kind, *digests: str) -> str:
    """The page of a result."""
    if kind == "comparison":
        return f"/compare/{digests[0]}/{digests[1]}"
    return f"/models/{digests[0]}/{ {'search': 'relatives'}.get(kind, kind) }"


def _import() -> None:
    """Import what takes long. No request imports any of it beside this, for some of it does not stand that."""
    for module in HEAVY:
        importlib.import_module(module)


def _size(fingerprint: Fingerprint) -> int:
    """Bytes of its traits."""
    return sum(array.nbytes for array in fingerprint.traits.values())


def _within(seconds: float) -> Progress:
    """Progress that nobody watches, with an end to it."""
    end = time.monotonic() + seconds

    def progress(done: int, total: int) -> None:
        if time.monotonic() > end:
            raise BusyError("the server", f"it took longer than {seconds / 60:.0f} minutes", "use the command line")

    return progress
