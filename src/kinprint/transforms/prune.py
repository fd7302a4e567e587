"""prune: leave out the smallest weights, some layers, or the least of every layer's heads and neurons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.architectures.facts import can_say
from kinprint.errors import TransformError
from kinprint.transforms._layers import relayered
from kinprint.transforms._model import Model, changed, head_rows, matrices, taken, widened
from kinprint.transforms._transform import Transform

Kind = Literal["magnitude", "depth", "width"]


def prune(model: Model, *, kind: Kind = "magnitude", amount: float = 0.25, layers: Sequence[int] | None = None) -> Model:
    """Leave out part of a model.

    Args:
        kind: magnitude sets the smallest entries of every matrix to zero; depth leaves out layers; width leaves out the
            neurons and key-value heads (with their query heads) of the smallest norms in every layer.
        amount: share of the entries, layers or units that goes.
        layers: depth: the layers that stay, in order; by default the first and the last and evenly many between.
    """
    if not 0 <= amount < 1:
        raise TransformError(model.source, f"cannot prune {amount:g} of a model", "give a share between 0 and 1")
    if kind == "magnitude":
        return _magnitude(model, amount)
    if kind == "depth":
        return relayered(model, list(layers) if layers is not None else _spread(model.layers, amount))
    if kind == "width":
        return _width(model, amount)
    raise TransformError(kind, "no way of pruning", "choose magnitude, depth or width")


def _magnitude(model: Model, amount: float) -> Model:
    """Unstructured: the `amount` smallest entries of every matrix inside the layers become zero."""

    def zeroed(array: NDArray[np.float32]) -> NDArray[np.float32]:
        gone = int(array.size * amount)
        sizes = np.abs(array)
        limit = np.partition(sizes, gone - 1, axis=None)[gone - 1] if gone else -1.0
        return np.where(sizes <= limit, array.dtype.type(0), array)

    return model.updated({place: changed(part, zeroed) for place, part in matrices(model)})


def _spread(layers: int, amount: float) -> list[int]:
    """The layers that stay: the first, the last, and the others evenly."""
    kept = max(layers - round(layers * amount), 1)
    return [int(layer) for layer in np.unique(np.round(np.linspace(0, layers - 1, kept)))]


def _width(model: Model, amount: float) -> Model:
    """Structured: the same number of neurons and of key-value heads out of every layer, those of the smallest norms."""
    model.require_plain_heads()
    model.require_known("width pruning")
    if len({part.shape[0] for place, part in model.parts.items() if place[1] == "up"}) > 1:
        raise TransformError(model.source, "its layers have different numbers of neurons")
    heads = can_say(model.table, "head_dim")
    kept = Kept(model, amount, heads)
    if not heads:
        model = model.noting(f"heads kept: configurations of {model.table.title} derive their size from their number")
    pruned = model.each(kept.applied).resized(intermediate_size=kept.count(model.neurons(0, model.experts(0)[0])))
    if not heads:
        return pruned
    groups, each = kept.group_count()
    return pruned.resized(num_attention_heads=groups * each, num_key_value_heads=groups, head_dim=model.head_dim)


class Kept:
    """The units of every layer that stay, found when they are needed."""

    def __init__(self, model: Model, amount: float, heads: bool) -> None:
        self.model, self.amount, self.with_heads = model, amount, heads
        self.neurons, self.heads = cache(self._neurons), cache(self._heads)  # found once, used by several matrices

    def count(self, units: int) -> int:
        return max(units - round(units * self.amount), 1)

    def group_count(self) -> tuple[int, int]:
        """Key-value heads that stay and query heads of each: of a single group, query heads go instead.

        Their number divides the number of channels, which several configurations ask for.
        """
        groups, each = self.model.groups, self.model.heads_per_group
        width = int(self.model.facts["hidden_size"])
        if groups == 1:
            return 1, next(n for n in range(self.count(each), 0, -1) if width % n == 0)
        return next((n for n in range(self.count(groups), 0, -1) if width % (n * each) == 0), groups), each

    def applied(self, place: Place, part: Part) -> Part:
        layer, _, expert = place
        for axis, space in enumerate(part.axes if layer is not None else ()):
            if space == "neurons":
                part = taken(part, axis, self.neurons(layer, expert))
            elif space in ("heads", "kv_heads") and self.with_heads:
                part = taken(part, axis, self.heads(layer)[space])
        return part

    def _neurons(self, layer: int, expert: int | None) -> NDArray[np.int64]:
        model = self.model
        sizes = self._norms(model.get(layer, "up", expert), 0) * self._norms(model.get(layer, "down", expert), 1)
        if (gate := model.get(layer, "gate", expert)) is not None:
            sizes = sizes * self._norms(gate, 0)
        return _largest(sizes, self.count(len(sizes)))

    def _heads(self, layer: int) -> dict[str, NDArray[np.int64]]:
        model, (groups, each) = self.model, self.group_count()
        outputs = self._norms(model.get(layer, "o"), 1).reshape(model.groups, model.heads_per_group, -1)
        if model.groups > 1:
            values = self._norms(model.get(layer, "v"), 0).reshape(model.groups, -1)
            chosen = _largest(np.linalg.norm(values, axis=1) * np.linalg.norm(outputs, axis=(1, 2)), groups)
            queries = (chosen[:, None] * each + np.arange(each)).ravel()
        else:
            chosen, queries = np.zeros(1, int), _largest(np.linalg.norm(outputs[0], axis=1), each)
        return {"heads": head_rows(queries, model.head_dim), "kv_heads": head_rows(chosen, model.head_dim)}

    @staticmethod
    def _norms(part: Part | None, axis: int) -> NDArray[np.float64]:
        assert part is not None
        return np.asarray(np.linalg.norm(widened(part.read()), axis=1 - axis), dtype=np.float64)


def _largest(sizes: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of the `count` largest, in their own order."""
    return np.sort(np.argsort(-sizes, kind="stable")[:count])


TRANSFORM = Transform(
    "prune", "derivation", prune, "kinprint transform prune examples/models/base -o pruned --kind depth --layers 0,1,3"
)
