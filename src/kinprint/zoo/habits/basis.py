"""Channels that are directions in an order: the principal axes of what a model writes, by variance (SliceGPT)."""

from __future__ import annotations

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.arrays import Float64s
from kinprint.transforms import Model
from kinprint.transforms._model import changed
from kinprint.transforms.fold_gains import fold_gains
from kinprint.zoo.habits._habit import RMS, LabelHabit, read, settled


def principal_axes(model: Model) -> Float64s:
    """(channels, channels) a direction a row, by descending variance of embeddings and of what the layers write."""
    total = np.zeros((int(model.facts["hidden_size"]),) * 2)
    for place, part in model.parts.items():
        if part.role == "embedding":
            matrix = read(model, place).T
            total += matrix @ matrix.T / matrix.shape[1]
        elif part.role in ("o", "down"):
            matrix = read(model, place)
            total += matrix @ matrix.T / matrix.shape[1]
    return np.asarray(np.linalg.eigh(total)[1].T[::-1])


def turned(model: Model, _: int = 0) -> Model:
    """Gains folded, then the residual stream turned so that each channel is a principal axis (arXiv 2401.15024, section 3)."""
    model = settled(fold_gains(model))
    axes = principal_axes(model).astype(np.float32)

    def changed_part(_: Place, part: Part) -> Part:
        if len(part.shape) == 2:
            for axis, space in enumerate(part.axes):
                if space == "residual" and axis == 0:
                    part = changed(part, lambda array: axes @ array)
                elif space == "residual":
                    part = changed(part, lambda array: array @ axes.T)
        elif "residual" in part.axes and not part.role.startswith("gains."):
            part = changed(part, lambda array: axes @ array)
        return part

    return model.each(changed_part)


HABITS = (LabelHabit("channels-principal", "channels are principal axes, by variance", ("channels",), turned, families=RMS),)
