"""Add many models to a library: an engine measures those that are new, and each result is written as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kinprint import engines
from kinprint.architectures import OpenModel
from kinprint.checkpoints import open_checkpoint
from kinprint.errors import KinprintError
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.fingerprints.from_model import SUFFIX, identity
from kinprint.library.store import BATCH, BATCH_BYTES, Library

WRITE_EVERY = 1.0
"""Seconds between two commits while results come faster than that."""


@dataclass(frozen=True)
class Added:
    """The result of adding one model.

    Attributes:
        model: as it was asked for.
        digest: of its fingerprint; empty where it could not be read.
        new: whether the library did not have it.
        error: why it could not be read.
    """

    model: str
    digest: str = ""
    new: bool = False
    error: KinprintError | None = None


class WorkItem(NamedTuple):
    """A model, and the identities of what was measured before under its name."""

    model: str
    known: Sequence[str]

    def __str__(self) -> str:
        return self.model


@dataclass(frozen=True)
class Measurement:
    """A fingerprint, or None where the content was measured before; and the identity of the content."""

    identity: str
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True)
class Measure:
    """What an engine's workers do.

    Of a model whose files have not changed only the ends of the files are read; see `kinprint.fingerprints.cache.key`.
    """

    quick: bool
    cache: bool
    threads: int | None

    def __call__(self, item: WorkItem) -> Measurement:
        model, known = item
        if Path(model).suffix == SUFFIX:
            return Measurement("", fingerprint(model))
        checkpoint = open_checkpoint(model)
        content = identity(checkpoint, quick=self.quick)
        if content in known:
            return Measurement(content)
        return Measurement(
            content, fingerprint(OpenModel(checkpoint), quick=self.quick, cache=self.cache, threads=self.threads)
        )


def add_models(
    library: Library,
    models: Sequence[str],
    *,
    engine: str = "threads",
    workers: int | None = None,
    quick: bool = False,
    cache: bool = True,
    threads: int | None = None,
) -> Iterator[Added]:
    """Measure models and add them; yields the result of each once the library holds it.

    An iterator that is closed or interrupted writes what was measured and stops. A second run goes on from there: of models
    that are stored under the same source only the ends of their files are read, other results are in the cache of fingerprints.

    Args:
        models: whatever `kinprint.fingerprint` takes; see `models_in` for folders.
        engine, workers: where they are measured, see `kinprint.engines`.
        quick, cache, threads: as for `kinprint.fingerprint`.

    Raises:
        EngineError: there is no such engine, or it cannot work.
        LibraryError: the library cannot be written.
    """
    known = library.identities(models)
    items = [WorkItem(model, tuple(known.get(model, ()))) for model in models]
    pending = _Pending(library)
    with closing(engines.named(engine).run(Measure(quick, cache, threads), items, workers)) as outcomes:  # type: ignore[type-var]
        try:
            for outcome in outcomes:
                model, result = outcome.item.model, outcome.result
                if result is None:
                    yield Added(model, error=outcome.error)
                elif result.fingerprint is None:
                    yield Added(model, known[model][result.identity])
                else:
                    pending.take(model, result.fingerprint, result.identity)
                    if pending.is_due():
                        yield from pending.write()
            yield from pending.write()
        except BaseException:
            pending.write()
            raise


class _Pending:
    """Fingerprints that were measured and are not written yet."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._results: list[tuple[str, Fingerprint, str]] = []
        self._bytes, self._written = 0, 0.0

    def take(self, model: str, measured: Fingerprint, identity: str) -> None:
        self._results.append((model, measured, identity))
        self._bytes += sum(trait.nbytes for trait in measured.traits.values())

    def is_due(self) -> bool:
        full = len(self._results) >= BATCH or self._bytes >= BATCH_BYTES
        return full or time.monotonic() - self._written >= WRITE_EVERY

    def write(self) -> list[Added]:
        """Write all of them, as one commit or few; they are pending until that is done."""
        results = {measured.digest: (measured, identity) for _, measured, identity in reversed(self._results)}
        known = self._library.known(results)
        self._library.add(
            (measured for measured, _ in results.values()), {digest: identity for digest, (_, identity) in results.items()}
        )
        added = []
        for model, measured, _ in self._results:
            added.append(Added(model, measured.digest, new=measured.digest not in known))
            known.add(measured.digest)
        self._results, self._bytes, self._written = [], 0, time.monotonic()
        return added
