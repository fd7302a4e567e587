"""split-heads: divide groups of heads in two and pad with idle ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.architectures.facts import can_say
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator, head_rows, scaled, taken
from kinprint.transforms._transform import Transform

MOST = 4
"""How many times as many groups are tried for a number that configurations allow."""


def split_heads(model: Model, *, seed: int | None = None, groups: int | None = None) -> Model:
    """Divide some groups of heads into two that share their output, and add groups that do nothing, so that the function stays.

    Half of the new groups are such twins, the others idle. A group is a key-value head with the query heads that read it.

    Args:
        seed: of the choice.
        groups: groups to add to each layer; by default the fewest for which the number of heads divides the number of channels,
            as some configurations require.
    """
    seed = drawn(seed)
    model.require_plain_heads()
    model.require_free_products()
    model.require_known("split-heads")
    if (why := model.why_kept("heads")) is not None:
        raise TransformError(model.source, f"its heads have names: the model {why}")
    if not all(can_say(model.table, fact) for fact in ("head_dim", "num_key_value_heads")):
        raise TransformError(model.source, f"configurations of {model.table.title} derive the size of heads from their number")
    if any(model.normed_heads(layer, "gains.q") == "all" for layer in range(model.layers)):
        raise TransformError(model.source, "one norm goes over the queries of all heads, and more heads would change it")
    added = _fitting(model) - model.groups if groups is None else groups
    if added < 1:
        raise TransformError(model.source, f"{added} more groups of heads", "give a number from 1")
    plans = {layer: _plan(model, added, seed, layer) for layer in range(model.layers)}

    def applied(place: Place, part: Part) -> Part:
        layer, role, _ = place
        for axis, space in enumerate(part.axes):
            if layer is not None and space in ("heads", "kv_heads"):
                part = plans[layer].applied(part, axis, role)
        return part

    count = model.groups + added
    new = model.each(applied)
    return new.resized(num_attention_heads=count * model.heads_per_group, num_key_value_heads=count, head_dim=model.head_dim)


@dataclass(frozen=True)
class HeadPlan:
    """The groups of one layer of the new model.

    Attributes:
        source: the old group that each new one is; where it is idle, one whose weights it wears shuffled.
        weight: share of the old group's output; 0 where idle.
        groups: of the old model.
        seed: of the shuffles.
    """

    source: NDArray[np.int64]
    weight: NDArray[np.float64]
    groups: int
    seed: tuple[object, ...]

    def applied(self, part: Part, axis: int, role: str) -> Part:
        """Rows of queries, keys and values, columns of outputs, or what a layer keeps for each head."""
        each = part.shape[axis] // self.groups
        part = taken(part, axis, head_rows(self.source, each))
        if role == "o":
            return scaled(part, axis, np.repeat(self.weight, each))
        return part if len(part.shape) == 1 else changed(part, lambda array: self._idle_shuffled(array, role))

    def _idle_shuffled(self, array: NDArray[np.float32], role: str) -> NDArray[np.float32]:
        new = array.reshape(len(self.source), -1, array.shape[1]).copy()
        for group in np.flatnonzero(self.weight == 0):
            order = generator(*self.seed, role, group).permutation(array.shape[1])  # type: ignore[arg-type]
            new[group] = new[group][:, order]
        return new.reshape(array.shape)


def _fitting(model: Model) -> int:
    """The next number of groups for which the number of heads divides the number of channels; one more if there is none."""
    width, counts = int(model.facts["hidden_size"]), range(model.groups + 1, MOST * model.groups + 1)
    return next((count for count in counts if width % (count * model.heads_per_group) == 0), model.groups + 1)


def _plan(model: Model, added: int, seed: int, layer: int) -> HeadPlan:
    rng = generator(seed, "split heads", layer)
    twins = rng.permutation(model.groups)[: (added + 1) // 2]
    first = rng.uniform(0.2, 0.8, len(twins))
    weight = np.ones(model.groups)
    weight[twins] = first
    idle = rng.integers(0, model.groups, added - len(twins))
    source = np.concatenate([np.arange(model.groups), twins, idle])
    weight = np.concatenate([weight, 1 - first, np.zeros(len(idle))])
    order = rng.permutation(len(source))
    return HeadPlan(source[order], weight[order], model.groups, (seed, "idle", layer))


TRANSFORM = Transform(
    "split-heads", "disguise", split_heads, "kinprint transform split-heads examples/models/finetune -o disguised --groups 4"
)
