"""The reference library, made from a list by byte ranges: first what it will cost, then one model after the other.

A model that is in the library already, from the same commit and read as closely, is skipped, so that an interrupted build goes
on. What was downloaded of a model is removed when its fingerprint is stored: all downloads together would fill a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from kinprint import engines
from kinprint.checkpoints.remote import hub
from kinprint.checkpoints.weight_choice import choose_weights
from kinprint.engines import Outcome
from kinprint.errors import KinprintError
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.fingerprints.quick import LINES
from kinprint.fingerprints.readings import MOST, TOKENS
from kinprint.library.references.listing import Reference
from kinprint.library.store import Library

LOOKUPS = 8
"""Models whose listings are asked for at the same time."""


@dataclass(frozen=True)
class Planned:
    """What one model will cost.

    Attributes:
        reference: of the list.
        commit: what its revision stands for now.
        weights: bytes of the weights files that are chosen, as listed.
        stored: it is in the library already.
    """

    reference: Reference
    commit: str
    weights: int
    stored: bool = False

    @property
    def place(self) -> str:
        return f"{self.reference.id}@{self.commit}"

    def reads(self, quick: bool) -> int:
        """Bytes to read: the weights, or about one line in a hundred of them."""
        return 0 if self.stored else self.weights // LINES if quick else self.weights


@dataclass(frozen=True)
class BuildPlan:
    """What a build will cost, from file listings alone.

    Attributes:
        planned: in the order of the list.
        failed: place and error of models that cannot be listed.
        quick: whether about 1 % of the weights is read.
    """

    planned: tuple[Planned, ...]
    failed: tuple[tuple[str, KinprintError], ...]
    quick: bool

    @property
    def missing(self) -> list[Planned]:
        return [model for model in self.planned if not model.stored]

    @property
    def reads(self) -> int:
        """Bytes that will be read in all."""
        return sum(model.reads(self.quick) for model in self.planned)

    @property
    def stores(self) -> int:
        """Bytes of fingerprints that will be stored, roughly; models of unknown shape count as the mean of the others."""
        known = [size for model in self.missing if (size := _stored(model.reference, self.quick))]
        return round(sum(known) / len(known) * len(self.missing)) if known else 0

    @property
    def largest(self) -> int:
        """Bytes that one model needs in the cache while it is measured, at most."""
        return max((model.reads(self.quick) for model in self.planned), default=0)


def plan(
    library: Library | None,
    wanted: Sequence[Reference],
    *,
    quick: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BuildPlan:
    """Ask the hub for the files of every model.

    Args:
        library: what is there already; None if there is no library yet.
        wanted: the models.
        quick: whether about 1 % of the weights will be read.
        progress: called with models asked about and their number.
    """
    sources = {model.source for model in library.models() if quick or model.quick is None} if library is not None else set()
    planned: dict[str, Planned] = {}
    failed: list[tuple[str, KinprintError]] = []
    for number, outcome in enumerate(engines.named("threads").run(_listed, wanted, LOOKUPS), 1):
        progress(number, len(wanted))
        if outcome.error is not None:
            failed.append((outcome.item.place, outcome.error))
        elif (listed := outcome.result) is not None:
            planned[outcome.item.id] = Planned(outcome.item, listed.commit, listed.weights, listed.place in sources)
    return BuildPlan(tuple(planned[reference.id] for reference in wanted if reference.id in planned), tuple(failed), quick)


def build(
    library: Library, wanted: BuildPlan, *, engine: str = "threads", workers: int | None = None, keep: bool = False
) -> Iterator[Outcome[Planned, str]]:
    """Measure what the library lacks and add it; an outcome for each model when it is stored, with its digest.

    Args:
        library: to add to.
        wanted: of `plan`.
        engine, workers: where models are measured.
        keep: leave what was downloaded of each model in the cache.

    Raises:
        EngineError: there is no such engine.
        LibraryError: the library cannot be written.
    """
    work = partial(_measured, quick=wanted.quick)
    with closing(engines.named(engine).run(work, wanted.missing, workers)) as outcomes:  # type: ignore[type-var]
        for outcome in outcomes:
            if outcome.result is None:
                yield outcome
                continue
            library.add([outcome.result])
            if not keep:
                hub.forget(outcome.item.reference.id, outcome.item.commit)
            yield Outcome(outcome.item, result=outcome.result.digest)


def _measured(model: Planned, quick: bool) -> Fingerprint:
    """A fingerprint whose source is the commit, so that the next build knows it."""
    return fingerprint(model.place, quick=quick, cache=False)


def _stored(reference: Reference, quick: bool) -> int:
    """Bytes of a fingerprint, roughly, from the shapes of its largest traits; 0 where the model's shape is not known.

    Per layer and channel, a quick fingerprint has some ten numbers; a full one has seven norms and, with four neurons a
    channel, eight numbers for each neuron. Then 30 numbers for each neuron whose forms are kept, and the readings of the first
    layer.
    """
    if reference.layers is None or reference.hidden_size is None:
        return 0
    channels = reference.hidden_size
    kept = 0 if quick else 30 * min(2048, 4_194_304 // channels, 4 * channels)
    readings = 2 * TOKENS * min(MOST, channels if quick else 4 * channels)
    return 4 * (reference.layers * ((10 if quick else 40) * channels + kept) + readings)


def _listed(reference: Reference) -> Planned:
    listing = hub.listed(reference.place)
    return Planned(reference, listing.revision, _weights(reference, listing))


def _weights(reference: Reference, listed: hub.Listed) -> int:
    """Bytes of the weights that will be chosen; for an index, of the shards with the customary names."""
    return sum(listed.sizes[name] for name in choose_weights(listed.sizes.keys(), reference.place).files)
