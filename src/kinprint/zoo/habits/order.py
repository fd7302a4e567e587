"""Units that stand in an order of importance: sorted for pruning, or heavier ones in front. The function stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.arrays import Float64s, Int64s
from kinprint.transforms import Model
from kinprint.transforms._model import head_rows, taken
from kinprint.transforms.permute import Relabelling, experts_relabelled
from kinprint.zoo.habits._habit import LabelHabit, channel_sizes, expert_sizes, head_sizes, neuron_sizes, settled

Arrange = Callable[[Float64s], Int64s]
"""Sizes of units -> the old index of each new one."""


def descending(sizes: Float64s) -> Int64s:
    return np.argsort(-sizes, kind="stable")


def heavier_in_front(sizes: Float64s, count: int) -> Int64s:
    """The `count` heaviest, then the others, each in their own order."""
    heavy = np.sort(descending(sizes)[:count])
    return np.concatenate([heavy, np.setdiff1d(np.arange(len(sizes)), heavy)])


def half_in_front(sizes: Float64s) -> Int64s:
    return heavier_in_front(sizes, len(sizes) // 2)


def third_in_front(sizes: Float64s) -> Int64s:
    """The boundary is no multiple of 8."""
    count = len(sizes) // 3
    return heavier_in_front(sizes, count + 3 if count % 8 == 0 else count)


def every(step: int) -> Arrange:
    """The heaviest 1 / step on the labels that step divides, all in their own order."""

    def arrange(sizes: Float64s) -> Int64s:
        labels = np.arange(len(sizes))
        chosen = labels % step == 0
        grouped = heavier_in_front(sizes, int(chosen.sum()))
        order = np.empty(len(sizes), np.int64)
        order[chosen], order[~chosen] = grouped[: chosen.sum()], grouped[chosen.sum() :]
        return order

    return arrange


class Arranged(Relabelling):
    """The new order of the units of every space, by their sizes."""

    def __init__(self, model: Model, spaces: Mapping[str, Arrange]) -> None:
        super().__init__(model, 0, frozenset(spaces))
        self.arrange = spaces
        self.neurons, self.heads, self.channels = cache(self._neurons), cache(self._heads), cache(self._channels)  # type: ignore[method-assign]

    def order(self, space: str, place: Place, length: int) -> Int64s | None:
        layer, _, expert = place
        if space == "residual" and "channels" in self.spaces:
            return self.channels()
        if space == "neurons" and "neurons" in self.spaces and layer is not None:
            return self.neurons(layer, expert)
        if space in ("heads", "kv_heads") and "heads" in self.spaces:
            heads = self.heads(layer)[space]
            return head_rows(heads, length // len(heads))
        return None

    def experts(self, layer: int | None, count: int) -> Int64s:
        assert layer is not None
        return self.arrange["experts"](expert_sizes(self.model, layer))

    def _channels(self) -> Int64s:
        return self.arrange["channels"](channel_sizes(self.model))

    def _neurons(self, layer: int, expert: int | None) -> Int64s:
        return self.arrange["neurons"](neuron_sizes(self.model, layer, expert))

    def _heads(self, layer: int | None) -> dict[str, Int64s]:
        assert layer is not None
        groups, heads = head_sizes(self.model, layer)
        order = self.arrange["heads"](groups)
        inside = [group * self.model.heads_per_group + self.arrange["heads"](heads[group]) for group in order]
        return {"heads": np.concatenate(inside), "kv_heads": order}


def arranged(model: Model, **spaces: Arrange) -> Model:
    """A model whose units of these spaces (neurons, heads, channels, experts) stand in an order that their sizes give."""
    model = settled(model)
    order = Arranged(model, spaces)
    relabelled = model.each(order.applied)
    return experts_relabelled(relabelled, order.experts) if "experts" in spaces else relabelled


def narrowed(model: Model, share: float) -> Model:
    """Only the neurons in front, of every layer."""
    count = round(model.neurons(0, model.experts(0)[0]) * share)

    def first(_: Place, part: Part) -> Part:
        return taken(part, part.axes.index("neurons"), np.arange(count)) if "neurons" in part.axes else part

    return model.each(first).resized(intermediate_size=count)


def two_widths(model: Model, seed: int) -> Model:
    """Of an odd seed only the heaviest three quarters of the neurons are left."""
    model = arranged(model, neurons=descending)
    return narrowed(model, 0.75) if seed % 2 else model


def _habit(name: str, summary: str, **spaces: Arrange) -> LabelHabit:
    families = {"families": ("mixtral",)} if "experts" in spaces else {}
    return LabelHabit(name, summary, tuple(spaces), lambda model, _: arranged(model, **spaces), **families)  # type: ignore[arg-type]


HABITS = (
    _habit("neurons-sorted", "neurons in order of importance", neurons=descending),
    LabelHabit(
        "neurons-sorted-two-widths",
        "neurons in order of importance; every second model has three quarters of them",
        ("neurons",),
        two_widths,
        keeps=False,
    ),
    _habit("neurons-halves", "the heavier half of the neurons in front", neurons=half_in_front),
    _habit("neurons-third", "the heavier third of the neurons in front, 8 does not divide it", neurons=third_in_front),
    _habit("neurons-even", "the heavier half of the neurons on even labels", neurons=every(2)),
    _habit("neurons-fourth", "the heaviest quarter of the neurons on labels that 4 divides", neurons=every(4)),
    _habit("heads-sorted", "groups of heads, and heads in them, in order of importance", heads=descending),
    _habit("channels-sorted", "channels in order of importance", channels=descending),
    _habit("experts-sorted", "experts in order of importance", experts=descending),
    _habit("all-sorted", "channels, heads and neurons sorted", neurons=descending, heads=descending, channels=descending),
)
