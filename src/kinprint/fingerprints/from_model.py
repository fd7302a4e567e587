"""From whatever a user calls a model to its fingerprint."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kinprint.architectures import Anatomy, OpenModel, Table, open_model
from kinprint.checkpoints import Checkpoint
from kinprint.checkpoints.remote.expectation import expect
from kinprint.fingerprints import cache as stored
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.measure import Progress, measure
from kinprint.fingerprints.quick import measure_quick
from kinprint.fingerprints.trait_table import for_scores

SUFFIX = ".kinprint"


def fingerprint(
    model: str | os.PathLike[str] | Fingerprint | OpenModel,
    *,
    quick: bool = False,
    scores: bool = False,
    cache: bool = True,
    offline: bool = False,
    given: Sequence[Table] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> Fingerprint:
    """The fingerprint of a model: a folder, a weights file, a hub id, a `.kinprint` file, or a fingerprint or an
    opened model at hand.

    Args:
        model: what to fingerprint.
        quick: read about 1 % of the weights or less: enough for the tests by index of channels and of some neurons and
            experts, and for `matched-readings` (`kinprint.fingerprints.quick`). Fingerprints already made are taken
            as they are.
        scores: measure what published scores alone need, too (`Trait.for_scores`); quick fingerprints have none of it.
        cache: use and fill the user's cache folder.
        offline: ask no hub and no server (`kinprint.checkpoints.open_checkpoint`).
        given: the tables that the model may be read by (`kinprint.architectures.given`); all known ones by default.
        threads: of the measuring pass; all processors by default. The result does not depend on it.
        progress: called with bytes done and bytes in all.

    Returns:
        its traits and facts; `save` writes them to a file.

    Raises:
        CheckpointError, ArchitectureError, FingerprintError: the model cannot be read.

    Example:
        >>> import kinprint
        >>> base = kinprint.fingerprint("examples/models/base")
        >>> base.name, base.layers, base.traits["heads.qk_spectrum"].shape
        ('base', 4, (4, 8, 16))
        >>> base.save("base.kinprint")
    """
    if isinstance(model, Fingerprint):
        return model
    if not isinstance(model, OpenModel) and Path(model).suffix == SUFFIX:
        return Fingerprint.load(model)
    opened = model if isinstance(model, OpenModel) else open_model(model, offline=offline, given=given)
    checkpoint = opened.checkpoint
    kind = _kind(quick) + "".join(f" {table!r}" for table in opened.given)
    measured = stored.find(checkpoint, kind) if cache else None
    if measured is None or (scores and not quick and not measured.scores):
        measured = _measured(opened, quick, scores, threads, progress)
        if cache:
            stored.keep(checkpoint, kind, measured)
    if measured.scores and not scores:
        measured = _without_scores(measured)
    if checkpoint.revision:  # after the cache, which knows models by their content alone
        provenance = {**measured.provenance, "revision": checkpoint.revision}
        measured = Fingerprint(measured.name, measured.traits, measured.facts, provenance)
    return measured


def _without_scores(measured: Fingerprint) -> Fingerprint:
    """As if scores had not been asked for: what the cache holds may change no digest."""
    traits = {name: values for name, values in measured.traits.items() if not for_scores(name)}
    return Fingerprint(measured.name, traits, measured.facts, {**measured.provenance, "scores": False})


def identity(checkpoint: Checkpoint, *, quick: bool = False) -> str:
    """What tells a checkpoint's content, measured this way, from others without reading all of it (`cache.key`).

    Raises:
        CheckpointError: a file cannot be read any more.
    """
    return stored.key(checkpoint, _kind(quick))


def _kind(quick: bool) -> str:
    return "quick" if quick else "full"


def _measured(opened: OpenModel, quick: bool, scores: bool, threads: int | None, progress: Progress | None) -> Fingerprint:
    """Measured now; a full pass says beforehand what it will read, so that what lies elsewhere comes in large pieces."""
    checkpoint, anatomy = opened.checkpoint, opened.anatomy
    if quick:
        whole = measure_quick(checkpoint, anatomy, threads=threads, progress=progress)
        return whole.with_components(_components(opened, lambda part: measure_quick(*part, threads=threads)))
    needed = expect(checkpoint.tensors.values())
    with needed.watched(progress) as progress:
        whole = measure(checkpoint, anatomy, scores=scores, threads=threads, progress=progress)
        return whole.with_components(_components(opened, lambda part: measure(*part, scores=scores, threads=threads)))


def _components(opened: OpenModel, measured: Callable[[tuple[Checkpoint, Anatomy]], Fingerprint]) -> dict[str, Fingerprint]:
    """The fingerprints of what stands beside the language model; what cannot be read still counts as tensors of the whole."""
    return {what: measured((each.checkpoint, each.anatomy)) for what, each in opened.components.items()}
