"""Which components of two models can be compared: vision tower with vision tower, whatever stands around them."""

from __future__ import annotations

from kinprint.fingerprints import Fingerprint

WHOLE = "language model"
"""What a model is that says nothing else."""


def counterparts(reference: Fingerprint, suspect: Fingerprint) -> dict[str, tuple[Fingerprint, Fingerprint]]:
    """The pairs of components of one kind, by what they are; a model that is one itself (an encoder alone) stands for itself.

    The pair of the two models themselves is left out: that is the comparison of which this is a part.
    """
    ours, theirs = (kinds(model) for model in (reference, suspect))
    return {
        what: (ours[what], theirs[what])
        for what in sorted(ours.keys() & theirs.keys())
        if (ours[what], theirs[what]) != (reference, suspect)
    }


def same_kind(reference: Fingerprint, suspect: Fingerprint) -> bool:
    """Whether both are language models, or both are vision towers, ..."""
    return kind(reference) == kind(suspect)


def kind(model: Fingerprint) -> str:
    """What a model is itself."""
    return model.stated.component or WHOLE


def kinds(model: Fingerprint) -> dict[str, Fingerprint]:
    """What a model consists of, by what it is: its components, and the model as the kind that it is itself."""
    return {**model.components, kind(model): model}
