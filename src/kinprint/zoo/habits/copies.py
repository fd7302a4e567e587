"""Units that are copies of each other, or nearly: one fact that looks like many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.arrays import Int64s
from kinprint.transforms import Model
from kinprint.transforms import known as transforms
from kinprint.transforms._layers import relayered
from kinprint.transforms._model import changed, generator, head_rows, taken
from kinprint.transforms.fold_gains import untied
from kinprint.zoo.families import SHAPES
from kinprint.zoo.habits._habit import LabelHabit, settled

Layout = Callable[[int, int], Int64s]
"""How many units, how often -> the old index of each new one."""

NOISE = 0.1
"""Standard deviation of noise added to near copies, as a share of the standard deviation of each matrix or vector."""

TIMES = 4
SMALL = replace(SHAPES["tiny"], hidden=48, layers=4, heads=6, groups=6, neurons=96, vocabulary=192)
"""What is cloned four times is as large as others afterwards."""


def noisy(model: Model, seed: int) -> Model:
    """Every array inside the layers changed a little, gains included."""

    def changed_part(place: Place, part: Part) -> Part:
        if place[0] is None:
            return part
        rng = (seed, "near copy", *place)
        return changed(
            part, lambda array: array + generator(*rng).normal(0, NOISE * array.std(), array.shape).astype(np.float32)
        )

    return model.each(changed_part)


def layers(order: Callable[[int], list[int]], *, noise: bool = False) -> Callable[[Model, int], Model]:
    def apply(model: Model, seed: int = 0) -> Model:
        copies = relayered(settled(model), order(model.layers))
        return noisy(copies, seed) if noise else copies

    return apply


def tiled(count: int, times: int) -> Int64s:
    """0 1 2 0 1 2"""
    return np.tile(np.arange(count), times)


def repeated(count: int, times: int) -> Int64s:
    """0 0 1 1 2 2"""
    return np.repeat(np.arange(count), times)


def cloned(model: Model, layout: Layout, times: int = TIMES) -> Model:
    """Every channel, group of heads and neuron several times (HyperCloning, arXiv 2409.12903): the function stays.

    What reads clones divides by their number; what writes them says the same to each. Heads are cloned in whole groups.
    """
    model.require_plain_heads()
    model = settled(untied(model))
    each = model.heads_per_group
    groups = layout(model.groups, times)
    queries = (groups[:, None] * each + np.arange(each)).ravel()

    def changed_part(_: Place, part: Part) -> Part:
        reads = len(part.shape) == 2 and part.role not in ("embedding", "position")
        for axis, space in enumerate(part.axes):
            old = part.shape[axis]
            if space in ("residual", "neurons"):
                order = layout(old, times)
            elif space in ("heads", "kv_heads"):
                order = (
                    head_rows(queries, old // (each * model.groups))
                    if space == "heads"
                    else head_rows(groups, old // model.groups)
                )
            else:
                continue
            part = taken(part, axis, order)
            if reads and axis == 1:
                part = changed(part, lambda array: array / np.float32(times))
        return part

    facts = {name: times * int(model.facts[name]) for name in ("hidden_size", "num_attention_heads", "num_key_value_heads")}
    return model.each(changed_part).resized(**facts, intermediate_size=times * model.neurons(0, model.experts(0)[0]))


def clones(layout: Layout, *, noise: bool = False) -> Callable[[Model, int], Model]:
    def apply(model: Model, seed: int = 0) -> Model:
        copies = cloned(model, layout)
        return noisy(copies, seed) if noise else copies

    return apply


def upcycled(model: Model, seed: int) -> Model:
    return transforms()["upcycle"](model, experts=8, top=2, noise=NOISE, seed=seed)


EVERYTHING = ("channels", "heads", "neurons")


def _clones(name: str, summary: str, layout: Layout, *, noise: bool = False) -> LabelHabit:
    return LabelHabit(f"cloned-{name}", summary, EVERYTHING, clones(layout, noise=noise), keeps=not noise, shape=SMALL)


HABITS = (
    LabelHabit("layers-one", "one layer stored twelve times", EVERYTHING, layers(lambda _: [0] * 12), keeps=False),
    LabelHabit(
        "layers-two-noisy",
        "two layers in turn, each stored eight times, then every copy changed by a tenth",
        EVERYTHING,
        layers(lambda _: [0, 1] * 8, noise=True),
        keeps=False,
    ),
    LabelHabit(
        "layers-twice", "every layer stored twice", EVERYTHING, layers(lambda n: [i // 2 for i in range(2 * n)]), keeps=False
    ),
    _clones("tiled", "channels, heads and neurons four times, one set behind the other", tiled),
    _clones("repeated", "channels, heads and neurons four times, clones side by side", repeated),
    _clones("tiled-noisy", "as cloned-tiled, then changed by a tenth", tiled, noise=True),
    _clones("repeated-noisy", "as cloned-repeated, then changed by a tenth", repeated, noise=True),
    LabelHabit(
        "experts-upcycled", "eight near copies of one FFN as experts", ("experts", "neurons"), upcycled, False, ("llama",)
    ),
)
