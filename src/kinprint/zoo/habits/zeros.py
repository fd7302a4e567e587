"""Units that are zero: appended so that kernels or shards fit, or in between. The function stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.arrays import Int64s
from kinprint.errors import TransformError
from kinprint.transforms import Model
from kinprint.transforms._model import changed, head_rows
from kinprint.zoo.families import SHAPES
from kinprint.zoo.habits._habit import RMS, LabelHabit

ABSENT = -1
"""Where an order asks for no old unit: a zero one."""

EPSILON = 1e-6
"""Of norms where the configuration does not say it."""

TWELVE_GROUPS = replace(SHAPES["tiny"], heads=12, groups=12)


def appended(count: int, added: int) -> Int64s:
    return np.concatenate([np.arange(count), np.full(added, ABSENT)])


def between(count: int, step: int) -> Int64s:
    """Every label that step divides is a zero unit."""
    labels = np.arange(-(-count * step // (step - 1)) + 1)
    order = np.full(len(labels), ABSENT)
    free = labels[labels % step > 0][:count]
    order[free] = np.arange(count)
    return order[: free[-1] + 1]


def picked(part: Part, axis: int, order: Int64s) -> Part:
    """A part with some of its units in the order given, and zeros where the order says so."""

    def pick(array: NDArray[np.float32]) -> NDArray[np.float32]:
        new = np.take(array, order, axis=axis)
        new[(slice(None),) * axis + (order == ABSENT,)] = 0
        return new

    return changed(part, pick, (*part.shape[:axis], len(order), *part.shape[axis + 1 :]))


def neurons(order: Callable[[int], Int64s]) -> Callable[[Model, int], Model]:
    """Neurons in an order that their number gives, the same in every layer."""

    def apply(model: Model, _: int = 0) -> Model:
        chosen = order(model.neurons(0, model.experts(0)[0]))

        def changed_part(_: Place, part: Part) -> Part:
            return picked(part, part.axes.index("neurons"), chosen) if "neurons" in part.axes else part

        return model.each(changed_part).resized(intermediate_size=len(chosen))

    return apply


def heads(model: Model, _: int = 0) -> Model:
    """Zero groups of heads behind the others, a third as many, or more until the number of heads divides that of channels."""
    model.require_plain_heads()
    width, fewest = int(model.facts["hidden_size"]), max(model.groups // 3, 1)
    possible = (n for n in range(fewest, width) if width % ((model.groups + n) * model.heads_per_group) == 0)
    groups = appended(model.groups, next(possible, fewest))
    each = np.arange(model.heads_per_group)
    queries = np.where(groups[:, None] == ABSENT, ABSENT, groups[:, None] * len(each) + each).ravel()

    def changed_part(_: Place, part: Part) -> Part:
        for axis, space in enumerate(part.axes):
            if space in ("heads", "kv_heads"):
                chosen = queries if space == "heads" else groups
                width = part.shape[axis] // (len(each) * model.groups if space == "heads" else model.groups)
                rows = np.where(np.repeat(chosen, width) == ABSENT, ABSENT, head_rows(chosen, width))
                part = picked(part, axis, rows)
        return part

    facts = {"num_attention_heads": len(queries), "num_key_value_heads": len(groups), "head_dim": model.head_dim}
    return model.each(changed_part).resized(**facts)


def channels(model: Model, _: int = 0, added: int = 32) -> Model:
    """Zero channels behind the others. RMSNorm divides by the mean over all of them: gains and epsilon make up for it."""
    if model.facts["norm"] != "rms":
        raise TransformError(model.source, "zero channels change what its norms compute")
    width = int(model.facts["hidden_size"])
    order = appended(width, added)
    share = width / len(order)

    def changed_part(_: Place, part: Part) -> Part:
        for axis, space in enumerate(part.axes):
            if space == "residual":
                part = picked(part, axis, order)
                if part.role.startswith("gains."):
                    part = changed(part, lambda array: array * np.float32(share**0.5))
        return part

    facts = {"hidden_size": len(order), "head_dim": model.head_dim}
    wider = model.each(changed_part).resized(**facts)
    return replace(wider, config={**wider.config, "rms_norm_eps": model.config.get("rms_norm_eps", EPSILON) * share})


HABITS = (
    LabelHabit("neurons-padded-37", "37 zero neurons behind the others", ("neurons",), neurons(lambda n: appended(n, 37))),
    LabelHabit("neurons-padded-64", "64 zero neurons behind the others", ("neurons",), neurons(lambda n: appended(n, 64))),
    LabelHabit(
        "neurons-fifth-zero", "a zero neuron on every label that 5 divides", ("neurons",), neurons(lambda n: between(n, 5))
    ),
    LabelHabit("heads-padded", "zero heads behind the others", ("heads",), heads, families=RMS, shape=TWELVE_GROUPS),
    LabelHabit("channels-padded", "32 zero channels behind the others", ("channels",), channels, families=RMS),
)
