"""Which weights two related models share: trained ones, or only the random ones that both started from.

What a start leaves in a matrix lies inside the Marchenko-Pastur law; what training adds stands above its edge
(`kinprint.statistics.spikes`). A descendant keeps what training added to its ancestor as it keeps the rest. Of two trainings
from one random start each keeps the start, and of what the other's training added only what start and text alone decide.

A score with limits, not a test: `origins.json` says how often each answer was right (docs/what-is-shared.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import numpy as np

from kinprint.architectures import Weights
from kinprint.arrays import Float64s
from kinprint.comparison.public_start import PublicStart, public_start
from kinprint.errors import MissingExtraError
from kinprint.json_numbers import finite
from kinprint.statistics.spikes import Kept, Spikes, kept
from kinprint.terms import ALPHA
from kinprint.words import p_value

ROLES = ("q", "k", "v", "o", "gate", "up", "down")
LAYERS = 6
"""Layers that are looked at, evenly spread."""

SIDE = 512
"""Rows and columns of a matrix that are looked at, evenly spread."""

DIRECTIONS = 20
"""A model in which fewer directions stand out shows no training that could be looked for."""

START = 0.2
"""How much of the start must be left in both, at least."""

MOST = 0.75
"""The share of all directions that is to be kept."""

TRAINED, APART = 0.8, 0.3
"""Shared training, where each model keeps most directions of the other at least so well, the start being 1; no sign of it,
where neither keeps them better than that. One model alone proves nothing: what little a short training added is kept by a
longer one from the same start."""

Answer = Literal["shared training", "shared random start, no sign of shared training", "cannot tell"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)


@dataclass(frozen=True)
class Origin:
    """What is said of where the shared weights of two models come from, and what that rests on.

    Attributes:
        answer: what is said.
        start: how much of the start is left in common: the geometric mean of both slopes.
        kept: of what training added to the reference, how much three directions in four are kept in the suspect, 1 being as
            much as the start is; and the other way round. NaN where no training is seen.
        directions: of the reference and of the suspect, how many directions training added to the matrices looked at.
        public: a start that anybody can draw and of which both are (`public_start`), with the larger p-value; None if there is
            none, or torch is not installed.
    """

    answer: Answer
    start: float
    kept: tuple[float, float]
    directions: tuple[int, int]
    public: PublicStart | None = None

    @property
    def measured(self) -> tuple[int, int] | None:
        """Pairs of known lineage that got this answer: of how many was it right."""
        return _measured().get(self.answer)

    def sentence(self) -> str:
        """What to add to a verdict; nothing where it cannot be told."""
        return " ".join(part for part in (self._answer(), self._drawn()) if part)

    def _answer(self) -> str:
        if self.answer == "cannot tell" or self.measured is None:
            return ""
        right, total = self.measured
        counted = f"(right for {right} of {total} pairs of small models)"
        if self.answer == "shared training":
            return (
                "They share training, not only a random start, unless both were trained from one start on the same batches in "
                "one order, or hardly at all: of the directions that training added, each keeps three in four of the other's "
                f"at least {min(self.kept):.2f} times as well as the start {counted}."
            )
        most = max(max(value for value in self.kept if np.isfinite(value)), 0.0)
        return (
            "They share a random start, and there is no sign of shared training: of the directions that training added, each "
            f"keeps one in four of the other's at most {most:.2f} times as well as the start {counted}."
        )

    def _drawn(self) -> str:
        if self.public is None:
            return ""
        p = p_value(self.public.log10_p)
        return f"Both started from numbers that anybody can draw: {self.public.name}'s, from seed {self.public.seed} (p {p})."

    def to_json(self) -> dict[str, Any]:
        measured = None if self.measured is None else {"right": self.measured[0], "of": self.measured[1]}
        kept = {"reference_in_suspect": finite(self.kept[0]), "suspect_in_reference": finite(self.kept[1])}
        return {
            "answer": self.answer,
            "measured": measured,
            "start_kept": self.start,
            "training_kept": kept,
            "directions": list(self.directions),
            "public": None if self.public is None else self.public.to_json(),
        }


def origin(reference: Weights, suspect: Weights, layer_map: Sequence[int] | None = None) -> Origin | None:
    """Where the weights that two related models share come from.

    Args:
        layer_map: reference layer of each suspect layer; without it, layers answer each other by number.

    Returns:
        None where no matrix of one answers one of the other.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    if layer_map is None and reference.layers != suspect.layers:
        return None
    found = kept(pairs(reference, suspect, layer_map or range(suspect.layers)))
    return None if found is None else replace(judged(*found), public=_public(reference, suspect))


def judged(there: Kept, back: Kept) -> Origin:
    """The answer to how much of the reference the suspect keeps, and of the suspect the reference."""
    start = float(np.sqrt(there.bulk * back.bulk))
    counts = len(there.added), len(back.added)
    most = tuple(each.of_most(MOST) if len(each.added) >= DIRECTIONS else np.nan for each in (there, back))
    answer: Answer = "cannot tell"
    if start >= START and np.isfinite(most).any():
        if min(most) >= TRAINED:  # not where one is NaN
            answer = "shared training"
        elif np.nanmax(most) <= APART:
            answer = "shared random start, no sign of shared training"
    return Origin(answer, start, (float(most[0]), float(most[1])), counts)


def _public(*models: Weights) -> PublicStart | None:
    """The public start that all models are of. To draw one takes long, so none is drawn for a second model in vain."""
    said = []
    for model in models:
        try:
            found = public_start(model)
        except MissingExtraError:
            return None
        if found is None or found.log10_p > math.log10(ALPHA):
            return None
        said.append(found)
    return max(said, key=lambda each: each.log10_p) if len({(each.name, each.seed) for each in said}) == 1 else None


def pairs(reference: Weights, suspect: Weights, layer_map: Sequence[int]) -> Iterator[tuple[Spikes, Spikes]]:
    """Matrices of both that answer each other, each split; those whose shapes differ are left out."""
    for layer in sorted({round(place) for place in np.linspace(0, len(layer_map) - 1, LAYERS)}):
        for role in ROLES:
            ours, theirs = _matrix(reference, layer_map[layer], role), _matrix(suspect, layer, role)
            if ours is not None and theirs is not None and ours.shape == theirs.shape:
                yield Spikes.of(ours), Spikes.of(theirs)


def _matrix(model: Weights, layer: int, role: str) -> Float64s | None:
    """Some rows and columns of a matrix as stored, around their means: all ones is a direction that strangers share."""
    experts = model.experts(layer) if role in ("gate", "up", "down") else [None]
    stored = model.stored(layer, role, experts[0]) if experts else None
    if stored is None:
        return None
    rows, columns = (np.linspace(0, size - 1, min(size, SIDE)).astype(int) for size in stored.shape)
    some = stored[np.ix_(rows, columns)].astype(np.float64)
    some -= some.mean(axis=0)
    some -= some.mean(axis=1, keepdims=True)
    return some if np.isfinite(some).all() and some.any() else None


@cache
def _measured() -> dict[str, tuple[int, int]]:
    found = json.loads((files(__package__) / "origins.json").read_text())
    return {answer: (counts["right"], counts["of"]) for answer, counts in found["answers"].items()}
