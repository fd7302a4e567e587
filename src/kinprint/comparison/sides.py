"""What a comparison takes of a model: its fingerprint, and for deep methods its weights, from one opening."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kinprint.architectures import OpenModel, Weights, open_model
from kinprint.errors import CheckpointError
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.from_model import SUFFIX

Place = str | os.PathLike[str] | Fingerprint
Both = tuple[tuple[Fingerprint, Fingerprint], tuple[Weights, Weights] | None]


def both(reference: Place, suspect: Place, measure: Callable[[Place | OpenModel], Fingerprint], *, deep: bool = False) -> Both:
    """Fingerprints of two models and, with `deep`, their weights; each model is opened once.

    Args:
        measure: gives the fingerprint of a place or an opened model.

    Raises:
        KinprintError: a model cannot be read, or is a fingerprint where `deep` needs the checkpoint.
    """
    if not deep:
        return (measure(reference), measure(suspect)), None
    opened_reference, opened_suspect = _opened(reference), _opened(suspect)
    return (measure(opened_reference), measure(opened_suspect)), (opened_reference.weights, opened_suspect.weights)


def _opened(model: Place) -> OpenModel:
    if isinstance(model, Fingerprint) or Path(model).suffix == SUFFIX:
        named = model.name if isinstance(model, Fingerprint) else model
        raise CheckpointError(named, "a fingerprint holds no weights", "for --deep name the checkpoint it was made from")
    return open_model(model)
