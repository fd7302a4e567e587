"""Fingerprints at hand, to find one by its name or relatives among all: a library, a few models, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kinprint.fingerprints import Fingerprint
from kinprint.library.identify import to_test
from kinprint.library.parts import queries
from kinprint.library.store import Library
from kinprint.terms import CANDIDATES


class BaseModels(Protocol):
    """What `verify` asks of the models at hand."""

    def __len__(self) -> int: ...

    def named(self, name: str) -> Fingerprint | None:
        """The model that is called so, exactly."""

    def candidates(self, model: Fingerprint) -> Iterator[Fingerprint]:
        """Those that may be relatives of a model."""


@dataclass(frozen=True)
class Few:
    """A few fingerprints, all of them candidates. A model is also found by its source: what the user called it."""

    fingerprints: Sequence[Fingerprint] = ()

    def __len__(self) -> int:
        return len(self.fingerprints)

    def named(self, name: str) -> Fingerprint | None:
        return next((model for model in self.fingerprints if name in (model.name, _without_revision(model))), None)

    def candidates(self, model: Fingerprint) -> Iterator[Fingerprint]:
        yield from self.fingerprints


@dataclass(frozen=True)
class Stored:
    """A library, opened anew wherever it is used, so that it can be sent to a worker.

    Attributes:
        where: its folder or URL.
    """

    where: str

    def __len__(self) -> int:
        return len(Library.open(self.where))

    def named(self, name: str) -> Fingerprint | None:
        """Of several models of one name one that was measured in full, the latest of them."""
        library = Library.open(self.where)
        namesakes = [model for model in library.find(name) if model.name == name]
        best = max(namesakes, key=lambda model: (model.quick is None, model.added), default=None)
        return None if best is None else library.get(best.digest)

    def candidates(self, model: Fingerprint) -> Iterator[Fingerprint]:
        library = Library.open(self.where)
        for candidate in to_test(queries(model), library, CANDIDATES, len(library)):
            yield library.get(candidate.digest)


@dataclass(frozen=True)
class Joined:
    """Several shelves as one; names are looked up in their order."""

    shelves: Sequence[BaseModels]

    def __len__(self) -> int:
        return sum(map(len, self.shelves))

    def named(self, name: str) -> Fingerprint | None:
        return next((model for shelf in self.shelves if (model := shelf.named(name)) is not None), None)

    def candidates(self, model: Fingerprint) -> Iterator[Fingerprint]:
        for shelf in self.shelves:
            yield from shelf.candidates(model)


def at_hand(fingerprints: Sequence[Fingerprint], library: str | None) -> BaseModels:
    """A few fingerprints and, where one is named, a library.

    Raises:
        LibraryError: the library cannot be opened: said now, not when the first model has been measured.
    """
    models: list[BaseModels] = [Few(tuple(fingerprints))]
    if library is not None:
        Library.open(library)
        models.append(Stored(library))
    return Joined(models)


def _without_revision(model: Fingerprint) -> str:
    return str(model.provenance.get("source", "")).partition("@")[0]
