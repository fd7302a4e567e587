"""scale: trade size between up and down, values and outputs, queries and keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part
from kinprint.transforms._model import Model, Place, drawn, generator, scaled
from kinprint.transforms._transform import Transform

SPREAD = 4.0
"""Ratio of the largest to the smallest factor."""


def scale(model: Model, *, seed: int | None = None) -> Model:
    """Multiply units of one matrix and divide them in the matrix that reads it, so that the function stays.

    Per neuron up against down (if the FFN is gated, or its activation ReLU); per key-value head values against outputs and,
    unless norms undo it, queries against keys. Factors are log-uniform between 1/2 and 2.

    Args:
        seed: of the factors.
    """
    seed = drawn(seed)
    model.require_plain_heads()
    model.require_free_signs()
    factors = Factors(model, seed)
    return model.each(lambda place, part: factors.applied(place, part))


class Factors:
    """By what each unit is multiplied, in whichever matrix it occurs."""

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.seed = model, seed

    def applied(self, place: Place, part: Part) -> Part:
        layer, role, expert = place
        kind = role.removeprefix("biases.")
        if layer is None or role.startswith(("gains.", "norm_biases.")):
            return part
        if kind in ("up", "shared_up") and self._homogeneous(layer, kind, expert):
            return scaled(part, 0, self.neurons(layer, kind, expert, part.shape[0]))
        if role in ("down", "shared_down") and self._homogeneous(layer, role.replace("down", "up"), expert):
            return scaled(part, 1, 1 / self.neurons(layer, role.replace("down", "up"), expert, part.shape[1]))
        if kind == "v":
            return scaled(part, 0, self.heads(layer, "vo", 1))
        if role == "o":
            return scaled(part, 1, 1 / self.heads(layer, "vo", self.model.heads_per_group))
        if kind in ("q", "k") and self.model.get(layer, "gains.q") is None and not self.model.rest:
            each = self.model.heads_per_group if kind == "q" else 1
            factors = self.heads(layer, "qk", each)
            return scaled(part, 0, factors if kind == "q" else 1 / factors)
        return part

    def neurons(self, layer: int, kind: str, expert: int | None, count: int) -> NDArray[np.float64]:
        return _factors(count, self.seed, kind, layer, expert)

    def heads(self, layer: int, kind: str, each: int) -> NDArray[np.float64]:
        """A factor a row: one for each key-value head, repeated for its `each` heads and their dimensions."""
        return np.repeat(_factors(self.model.groups, self.seed, kind, layer), each * self.model.head_dim)

    def _homogeneous(self, layer: int, kind: str, expert: int | None) -> bool:
        """Whether a neuron's output is multiplied by what its up row is multiplied by."""
        gated = self.model.get(layer, kind.replace("up", "gate"), expert) is not None
        return gated or self.model.facts["activation"] == "relu"


def _factors(count: int, seed: int, *what: object) -> NDArray[np.float64]:
    half = np.log(SPREAD) / 2
    return np.exp(generator(seed, "scale", *what).uniform(-half, half, count))


TRANSFORM = Transform("scale", "disguise", scale, "kinprint transform scale examples/models/finetune -o disguised --seed 7")
