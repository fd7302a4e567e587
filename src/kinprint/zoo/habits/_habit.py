"""What a habit of labels is, and the means that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kinprint.architectures import Place
from kinprint.arrays import Float64s
from kinprint.transforms import Model
from kinprint.transforms._model import widened
from kinprint.zoo.families import SHAPES, Shape

DENSE = ("llama", "qwen2", "gpt_neox", "gpt2")
RMS = ("llama", "qwen2")


@dataclass(frozen=True)
class LabelHabit:
    """A way of labelling units that models which have nothing in common may share.

    Attributes:
        name: of the habit.
        summary: what a model with this habit looks like.
        spaces: whose labels are no longer a random order, or whose units are no longer units of their own.
        apply: gives a model the habit. The seed is for what differs from model to model by chance, so every model of a
            benchmark needs one of its own.
        keeps: whether the model computes the same as before.
        families: for which it is written.
        shape: of the random models it shows best on.
    """

    name: str
    summary: str
    spaces: tuple[str, ...]
    apply: Callable[[Model, int], Model]
    keeps: bool = True
    families: tuple[str, ...] = DENSE
    shape: Shape = SHAPES["tiny"]

    def __call__(self, model: Model, seed: int = 0) -> Model:
        return self.apply(model, seed)


def settled(model: Model) -> Model:
    """The model with every weight computed, in float32: what is read many times is computed once."""
    arrays = {place: widened(part.read()) for place, part in model.parts.items()}
    return model.each(lambda place, part: replace(part, read=lambda: arrays[place]))


def read(model: Model, place: Place) -> Float64s:
    return np.asarray(widened(model.parts[place].read()), np.float64)


def neuron_sizes(model: Model, layer: int, expert: int | None = None) -> Float64s:
    """(neurons,) norm of a neuron's up times that of its down (and of its gate)."""
    sizes = np.linalg.norm(read(model, (layer, "up", expert)), axis=1)
    sizes = sizes * np.linalg.norm(read(model, (layer, "down", expert)), axis=0)
    if model.get(layer, "gate", expert) is not None:
        sizes = sizes * np.linalg.norm(read(model, (layer, "gate", expert)), axis=1)
    return np.asarray(sizes)


def head_sizes(model: Model, layer: int) -> tuple[Float64s, Float64s]:
    """(groups,) norm of a group's values times that of what it writes; (groups, heads of each) norms of what heads write."""
    writes = np.linalg.norm(read(model, (layer, "o", None)), axis=0)
    heads = np.linalg.norm(writes.reshape(model.groups, model.heads_per_group, -1), axis=2)
    values = np.linalg.norm(read(model, (layer, "v", None)).reshape(model.groups, -1), axis=1)
    return values * np.linalg.norm(heads, axis=1), heads


def channel_sizes(model: Model) -> Float64s:
    """(channels,) norm of everything that reads or writes a channel."""
    total = np.zeros(int(model.facts["hidden_size"]))
    for place, part in model.parts.items():
        if len(part.shape) == 2 and "residual" in part.axes:
            total += (read(model, place) ** 2).sum(axis=1 - part.axes.index("residual"))
    return np.sqrt(total)


def expert_sizes(model: Model, layer: int) -> Float64s:
    """(experts,) how much an expert's neurons weigh together."""
    return np.array([neuron_sizes(model, layer, expert).sum() for expert in model.experts(layer)])
