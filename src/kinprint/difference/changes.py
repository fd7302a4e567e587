"""diff(): what changed from one model to another, tensor by tensor, and what kind of change that is like."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from kinprint.architectures import OpenModel, Place, Table, open_model
from kinprint.comparison import examine
from kinprint.difference.pairing import paired
from kinprint.difference.reading import Evidence, Reading, reading
from kinprint.difference.tensor_change import TensorChange, measured
from kinprint.errors import CheckpointError, DifferenceError
from kinprint.fingerprints import fingerprint
from kinprint.fingerprints.from_model import SUFFIX
from kinprint.fingerprints.parallel import each, usual_threads
from kinprint.progress import listened_to

FORMAT = "kinprint-diff/1"

ANSWERING = 0.2
"""Share of the layers' entries that must answer the reference's; below, the tests say whether there is anything to compare."""

MOST_THREADS = 4
"""By default. Each holds a few blocks, and what has to be decoded of its matrices."""


@dataclass(frozen=True)
class Changes:
    """What `diff` found.

    Attributes:
        reference, suspect: names of the two models; sources: what the user gave.
        reading: what the change is like, in words.
        tensors: what was compared, by layer (those without one last), role and expert.
        layer_map: reference layer of each suspect layer; None where none answers.
        not_compared: parts that both have and whose entries do not answer each other: their units lie in another order that
            was not found, or they were replaced.
        missing, added: parts that only the reference, or only the suspect, has.
        answering: share of the entries of the layers' matrices that answer the reference's.
        relative: norm of the change of all layers' matrices against their norm.
    """

    reference: str
    suspect: str
    sources: tuple[str, str]
    reading: Reading
    tensors: tuple[TensorChange, ...]
    layer_map: tuple[int | None, ...]
    not_compared: tuple[Place, ...]
    missing: tuple[Place, ...]
    added: tuple[Place, ...]
    answering: float
    relative: float

    @property
    def entries(self) -> int:
        """That were compared."""
        return sum(change.entries for change in self.tensors)

    @property
    def changed(self) -> int:
        """Entries that differ."""
        return sum(change.changed for change in self.tensors)

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "format": FORMAT,
            "reference": {"name": self.reference, "source": self.sources[0]},
            "suspect": {"name": self.suspect, "source": self.sources[1]},
            "reading": self.reading.to_json(),
            "entries": self.entries,
            "changed": self.changed,
            "share_changed": self.changed / self.entries if self.entries else 0.0,
            "relative_change": self.relative,
            "answering": self.answering,
            "layer_map": list(self.layer_map),
            "tensors": [change.to_json() for change in self.tensors],
            "not_compared": [_place(place) for place in self.not_compared],
            "missing": [_place(place) for place in self.missing],
            "added": [_place(place) for place in self.added],
        }


def diff(
    reference: str | os.PathLike[str],
    suspect: str | os.PathLike[str],
    *,
    given: Sequence[Table] = (),
    cache: bool = True,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Changes:
    """Say what changed from one model to another that was made from it, tensor by tensor, and what the change is like.

    Weights are compared by layer and role, whatever files call them, and some rows at a time. The reading is a description with
    a measured accuracy, not a test: `compare` says whether two models are related at all.

    Args:
        reference: the place of the model that is the origin: a folder, a file, a hub id, a URL.
        suspect: the place of the model that is examined.
        given: the tables that models may be read by; all known ones by default.
        cache: where entries do not answer each other: use fingerprints of earlier runs for the tests, and keep new ones.
        progress: called with what is counted, how many are done and how many there are.

    Returns:
        the change of every tensor, what was not compared, and a reading in words.

    Raises:
        DifferenceError: no entry of one model answers one of the other, and no test says that they are related.
        KinprintError: a model cannot be read, or is a fingerprint, which holds no weights.

    Example:
        >>> import kinprint
        >>> found = kinprint.diff("examples/models/base", "examples/models/finetune")
        >>> found.reading.word, round(found.relative, 2), len(found.tensors)
        ('fine-tune', 0.17, 38)
    """
    with listened_to(progress):
        return between(_opened(reference, given), _opened(suspect, given), cache=cache)


def between(reference: OpenModel, suspect: OpenModel, *, cache: bool = False) -> Changes:
    """As `diff`, for models that are open already."""
    with threadpool_limits(limits=1, user_api="blas"):
        return _between(reference, suspect, cache=cache)


def _between(reference: OpenModel, suspect: OpenModel, *, cache: bool) -> Changes:
    ours, theirs = reference.weights, suspect.weights
    pairing = paired(ours, theirs)
    if pairing.answering < ANSWERING:
        _require_related(reference, suspect, cache=cache)
    answering = [pair for pair in pairing.pairs if pair.answers]
    threads = min(usual_threads(), MOST_THREADS)
    tensors = tuple(each(measured, answering, threads, "tensors compared"))
    evidence = Evidence(pairing, tensors, (ours.layers, theirs.layers))
    return Changes(
        reference=ours.name,
        suspect=theirs.name,
        sources=(ours.source, theirs.source),
        reading=reading(evidence),
        tensors=tensors,
        layer_map=pairing.layer_map,
        not_compared=tuple(pair.place for pair in pairing.pairs if not pair.answers),
        missing=pairing.missing,
        added=pairing.added,
        answering=pairing.answering,
        relative=evidence.relative,
    )


def _opened(model: str | os.PathLike[str], given: Sequence[Table]) -> OpenModel:
    if Path(model).suffix == SUFFIX:
        raise CheckpointError(model, "a fingerprint holds no weights", "name the checkpoint it was made from")
    return open_model(model, given=given)


def _require_related(reference: OpenModel, suspect: OpenModel, *, cache: bool) -> None:
    """DifferenceError where no test says that two models whose entries do not answer each other are related."""
    ours, theirs = (fingerprint(model, cache=cache) for model in (reference, suspect))
    if examine((ours, theirs), cache=cache).verdict not in ("related", "identical"):
        raise DifferenceError(
            theirs.name,
            f"nothing to compare: its weights do not answer those of {ours.name} entry by entry, and no test relates the two",
            "`kinprint compare --deep` says what could not have been seen",
        )


def _place(place: Place) -> dict[str, Any]:
    return {"layer": place[0], "role": place[1], "expert": place[2]}
