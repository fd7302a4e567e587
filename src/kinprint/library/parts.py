"""What a library finds by itself: a model, and each component of one (a vision tower, an audio encoder).

A component has vectors of its own, so that it is found inside whatever model it was put into. A model that is a component
itself, an encoder alone, is looked for among components, and not among language models.
"""

from __future__ import annotations

from typing import NamedTuple

from kinprint.comparison.components import WHOLE, kinds
from kinprint.fingerprints import Fingerprint
from kinprint.library.vectors import Vector, vectors


class Query(NamedTuple):
    """A vector to look for.

    Attributes:
        part: which component it is of; "" for a language model.
        space: one of `kinprint.library.spaces.DIMENSIONS`.
        vector: (spaces.DIMENSIONS[space],).
    """

    part: str
    space: str
    vector: Vector

    @property
    def label(self) -> str:
        """What a cosine with it is called."""
        return f"{self.space} of the {self.part}" if self.part else self.space


def parts(model: Fingerprint) -> dict[str, Fingerprint]:
    """The components of a model by what they are, and the model itself if it is one."""
    return {what: each for what, each in kinds(model).items() if what != WHOLE}


def queries(model: Fingerprint) -> list[Query]:
    """Everything by which a model's relatives may be found."""
    searched = {"" if what == WHOLE else what: each for what, each in kinds(model).items()}
    return [Query(part, space, vector) for part, each in searched.items() for space, vector in vectors(each).items()]
