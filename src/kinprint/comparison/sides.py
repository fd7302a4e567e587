"""What a comparison takes of a model: its fingerprint, and for deep methods its weights, from one opening."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from kinprint.architectures import OpenModel, Table, Weights, open_model
from kinprint.errors import CheckpointError
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.from_model import SUFFIX

Place = str | os.PathLike[str] | Fingerprint
Both = tuple[tuple[Fingerprint, Fingerprint], tuple[Weights, Weights] | None]


def both(
    reference: Place,
    suspect: Place,
    measure: Callable[[Place | OpenModel], Fingerprint],
    *,
    deep: bool = False,
    given: Sequence[Table] = (),
    ahead: Callable[[Weights, Weights], None] = lambda reference, suspect: None,
) -> Both:
    """Fingerprints of two models and, with `deep`, their weights; each model is opened once.

    Args:
        measure: gives the fingerprint of a place or an opened model.
        given: the tables that models may be read by; all known ones by default.
        ahead: with `deep`, is shown both weights before anything of them is read.

    Raises:
        KinprintError: a model cannot be read, or is a fingerprint where `deep` needs the checkpoint.
    """
    if not deep and not given:
        return (measure(reference), measure(suspect)), None
    if not deep:
        return (measure(_given(reference, given)), measure(_given(suspect, given))), None
    opened_reference, opened_suspect = _opened(reference, given), _opened(suspect, given)
    weights = opened_reference.weights, opened_suspect.weights
    ahead(*weights)
    return (measure(opened_reference), measure(opened_suspect)), weights


def _given(model: Place, given: Sequence[Table]) -> Place | OpenModel:
    """A model opened by the tables given; a fingerprint as it is."""
    return model if _is_fingerprint(model) else _opened(model, given)


def _is_fingerprint(model: Place) -> bool:
    return isinstance(model, Fingerprint) or Path(model).suffix == SUFFIX


def _opened(model: Place, given: Sequence[Table]) -> OpenModel:
    if isinstance(model, Fingerprint) or _is_fingerprint(model):
        named = model.name if isinstance(model, Fingerprint) else model
        raise CheckpointError(named, "a fingerprint holds no weights", "for --deep name the checkpoint it was made from")
    return open_model(model, given=given)
