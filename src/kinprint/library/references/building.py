"""The reference library, made from a list by byte ranges: first what it will cost, then one model after the other.

A model that is in the library already, from the same commit and read as closely, is skipped, so that an interrupted build goes
on. What was downloaded of a model is removed when its fingerprint is stored: all downloads together would fill a disk. A build
may be given so many bytes and hours: models are taken in the order of the list, and one that does not fit leaves its room to
smaller ones behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
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
from kinprint.library.references.manifest import Built, Manifest
from kinprint.library.references.pace import Pace
from kinprint.library.sets import stated_licence
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
        fits: its bytes are within those that the build may read.
    """

    reference: Reference
    commit: str
    weights: int
    stored: bool = False
    fits: bool = True

    @property
    def place(self) -> str:
        return f"{self.reference.id}@{self.commit}"

    def reads(self, quick: bool) -> int:
        """Bytes to read: the weights, or about one line in a hundred of them."""
        return 0 if self.stored or not self.fits else self.needs(quick)

    def needs(self, quick: bool) -> int:
        """Bytes that it would take, whether it is read or not."""
        return self.weights // LINES if quick else self.weights


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
        """What will be read."""
        return [model for model in self.planned if not model.stored and model.fits]

    @property
    def stored(self) -> list[Planned]:
        """What is in the library."""
        return [model for model in self.planned if model.stored]

    @property
    def too_large(self) -> list[Planned]:
        """What would read more bytes than are left to the build."""
        return [model for model in self.planned if not model.fits]

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
    max_bytes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BuildPlan:
    """Ask the hub for the files of every model.

    Args:
        library: what is there already; None if there is no library yet.
        wanted: the models.
        quick: whether about 1 % of the weights will be read.
        max_bytes: that may be read; in the order of the list, a model that does not fit in is left out.
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
    in_order = [planned[reference.id] for reference in wanted if reference.id in planned]
    return BuildPlan(tuple(_within(in_order, quick, max_bytes)), tuple(failed), quick)


def _within(models: Sequence[Planned], quick: bool, max_bytes: int | None) -> Iterator[Planned]:
    """The models, those that do not fit marked."""
    left = max_bytes
    for model in models:
        if left is None or model.stored:
            yield model
        else:
            fitting = replace(model, fits=model.needs(quick) <= left)
            left -= fitting.reads(quick)
            yield fitting


def build(
    library: Library,
    wanted: BuildPlan,
    *,
    engine: str = "threads",
    workers: int | None = None,
    keep: bool = False,
    pace: Pace | None = None,
    manifest: Manifest | None = None,
) -> Iterator[Outcome[Planned, Built]]:
    """Measure what the library lacks and add it; an outcome for each model when it is stored.

    An outcome with neither result nor error is that of a model which was not begun, because it would have ended after the
    build's hours.

    Args:
        library: to add to.
        wanted: of `plan`.
        engine, workers: where models are measured. If the hours are limited, `workers` models (one by default) are begun
            together, and the next when all of them are done.
        keep: leave what was downloaded of each model in the cache.
        pace: is told how long each model took, and says which of the next ones would take too long.
        manifest: where each is written down when it is stored.

    Raises:
        EngineError: there is no such engine.
        LibraryError: the library or the manifest cannot be written.
    """
    pace = pace or Pace()
    work = partial(_measured, quick=wanted.quick)
    together = len(wanted.missing) if pace.hours is None else workers or 1
    waiting = list(wanted.missing)
    while waiting:
        batch, late = list[Planned](), list[Planned]()
        while waiting and len(batch) < together:
            model = waiting.pop(0)
            (late if pace.too_long(model.reads(wanted.quick)) else batch).append(model)
        yield from (Outcome(model) for model in late)
        if not batch:
            return
        with closing(engines.named(engine).run(work, batch, workers)) as outcomes:  # type: ignore[type-var]
            for outcome in outcomes:
                if outcome.result is None:
                    yield Outcome(outcome.item, error=outcome.error)
                    continue
                found, seconds = outcome.result
                library.add([found])
                if not keep:
                    hub.forget(outcome.item.reference.id, outcome.item.commit)
                built = _built(outcome.item, found, seconds)
                pace.done(built.bytes, built.seconds)
                if manifest is not None:
                    manifest.add(built)
                yield Outcome(outcome.item, result=built)


def _measured(model: Planned, quick: bool) -> tuple[Fingerprint, float]:
    """A fingerprint whose source is the commit, so that the next build knows it, and the seconds that it took."""
    begun = time.monotonic()
    found = fingerprint(model.place, quick=quick, cache=False)
    return found, time.monotonic() - begun


def _built(model: Planned, found: Fingerprint, seconds: float) -> Built:
    """What is written down of a model."""
    licence, source = stated_licence(found), "card"
    if not licence:
        licence, source = model.reference.licence or "", (model.reference.sources or {}).get("licence", "")
    nbytes = model.weights if found.quick is None else round(found.quick * model.weights)
    return Built(
        model.reference.id, model.commit, licence, source, found.digest, nbytes, round(seconds, 3), found.quick is not None
    )


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
