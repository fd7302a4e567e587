"""Units whose sizes follow their labels. The function does not stay: this is how such models are trained, not made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.arrays import Float64s
from kinprint.transforms import Model
from kinprint.transforms._model import scaled
from kinprint.zoo.habits._habit import LabelHabit

SPREAD = 0.5
"""Of the logarithm of a profile, about."""


def smooth(count: int) -> Float64s:
    return np.asarray(np.exp(SPREAD * np.sin(2 * np.pi * np.arange(count) / count)))


def pairs(count: int) -> Float64s:
    """Every second unit is larger, less so towards the end: sines beside cosines."""
    labels = np.arange(count)
    return np.asarray(np.exp(SPREAD * np.where(labels % 2, 1, -1) * (1 - labels / count)))


def halves(count: int) -> Float64s:
    return np.asarray(np.exp(SPREAD * np.where(np.arange(count) < count // 2, 1, -1)))


def nested(count: int) -> Float64s:
    """Smaller with every doubling of the width: an eighth, a quarter, a half, all."""
    steps = np.searchsorted([count // 8, count // 4, count // 2], np.arange(count), side="right")
    return np.asarray(np.exp(-SPREAD * steps))


def levels(count: int) -> Float64s:
    """Four levels, by quarter."""
    return np.asarray(np.exp(-SPREAD * (4 * np.arange(count) // count)))


def scaling(space: str, profile: Callable[[int], Float64s]) -> Callable[[Model, int], Model]:
    """Everything that reads or writes the units of a space multiplied by one profile along their labels."""

    def changed_part(_: Place, part: Part) -> Part:
        for axis, axis_space in enumerate(part.axes):
            if axis_space == space and not part.role.startswith(("biases.", "norm_biases.")):
                part = scaled(part, axis, profile(part.shape[axis]))
        return part

    def apply(model: Model, _: int = 0) -> Model:
        return model.each(changed_part)

    return apply


def _channels(name: str, summary: str, profile: Callable[[int], Float64s]) -> LabelHabit:
    return LabelHabit(f"channels-{name}", summary, ("channels",), scaling("residual", profile), keeps=False)


HABITS = (
    LabelHabit(
        "neurons-levels", "neurons of four sizes, a quarter each", ("neurons",), scaling("neurons", levels), keeps=False
    ),
    _channels("smooth", "channels whose sizes rise and fall along the labels", smooth),
    _channels("pairs", "every second channel larger, less so towards the end", pairs),
    _channels("halves", "channels of two sizes, a half each", halves),
    _channels("nested", "channels that get smaller with every doubling of the width", nested),
)
