"""permute: relabel channels, heads, neurons and experts at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, drawn, generator, head_rows, taken
from kinprint.transforms._transform import Transform

SPACES = ("channels", "heads", "neurons", "experts")


def permute(model: Model, *, seed: int | None = None, spaces: str | Iterable[str] = SPACES) -> Model:
    """Relabel the units of a model at random, wherever they occur, so that it computes the same function.

    Channels get one permutation for the whole model; heads one a layer, which keeps every query head with its key-value
    head; neurons one a layer and expert; experts one a layer. Units that the architecture names by index (heads under ALiBi)
    keep their places, and a note says so.

    Args:
        seed: of the permutations.
        spaces: which units: channels, heads, neurons, experts, separated by commas.
    """
    seed = drawn(seed)
    wanted = spaces.split(",") if isinstance(spaces, str) else list(spaces)
    if not set(wanted) <= set(SPACES):
        raise TransformError(", ".join(wanted), "not all of these are spaces", f"choose from {', '.join(SPACES)}")
    model.require_known("permute")
    kept = {space: why for space in wanted if (why := model.why_kept(space)) is not None}
    wanted = [space for space in wanted if space not in kept]
    model = model.noting(*(f"{space} kept: the model {why}" for space, why in kept.items()))
    index = Relabelling(model, seed, frozenset(wanted))
    return experts_relabelled(model.each(index.applied), index.experts) if "experts" in wanted else model.each(index.applied)


class Relabelling:
    """The new order of the units of every space."""

    def __init__(self, model: Model, seed: int, spaces: frozenset[str]) -> None:
        self.model, self.seed, self.spaces = model, seed, spaces
        if "heads" in spaces:
            model.require_heads()

    def applied(self, place: Place, part: Part) -> Part:
        for axis, space in enumerate(part.axes):
            order = self.order(space, place, part.shape[axis])
            if order is not None:
                part = taken(part, axis, order)
        return part

    def order(self, space: str, place: Place, length: int) -> NDArray[np.int64] | None:
        """Old index of each new unit along an axis, or None where the space keeps its labels."""
        layer, _, expert = place
        if space == "residual" and "channels" in self.spaces:
            return generator(self.seed, "channels").permutation(length)
        if space in ("neurons", "shared_neurons") and "neurons" in self.spaces:
            return generator(self.seed, space, layer, expert).permutation(length)
        if space in ("heads", "kv_heads") and "heads" in self.spaces:
            heads = self.heads(layer)[space]
            return head_rows(heads, length // len(heads))
        return None

    def heads(self, layer: int | None) -> dict[str, NDArray[np.int64]]:
        """Old index of each new query head and of each new key-value head of a layer."""
        rng, model = generator(self.seed, "heads", layer), self.model
        groups = rng.permutation(model.groups)
        inside = [group * model.heads_per_group + rng.permutation(model.heads_per_group) for group in groups]
        return {"heads": np.concatenate(inside), "kv_heads": groups}

    def experts(self, layer: int | None, count: int) -> NDArray[np.int64]:
        """Old index of each new expert of a layer."""
        together = max(int(self.model.facts.get("expert_groups") or 1), 1)
        return _in_groups(generator(self.seed, "experts", layer), count, together)


def experts_relabelled(model: Model, order: Callable[[int | None, int], NDArray[np.int64]]) -> Model:
    """Relabel the experts of every layer: the rows of the router, and which expert is which.

    Args:
        order: (layer, how many experts it has) -> the old index of each new expert.
    """
    counts = {place[0]: part.shape[0] for place, part in model.parts.items() if place[1] == "router"}
    orders = {layer: order(layer, count) for layer, count in counts.items()}
    parts: dict[Place, Part] = {}
    for (layer, role, expert), part in model.parts.items():
        if expert is not None and layer in orders:
            old = int(orders[layer][expert])
            parts[layer, role, expert] = replace(model.parts[layer, role, old], expert=expert)
        elif "experts" in part.axes and layer in orders:
            parts[layer, role, expert] = taken(part, part.axes.index("experts"), orders[layer])
        else:
            parts[layer, role, expert] = part
    return replace(model, parts=parts)


def _in_groups(rng: np.random.Generator, count: int, groups: int) -> NDArray[np.int64]:
    """A random order that keeps the members of equal groups together, whatever the order of the groups."""
    if groups == 1:
        return rng.permutation(count)
    blocks = np.arange(count).reshape(groups, -1)[rng.permutation(groups)]
    return np.concatenate([rng.permutation(block) for block in blocks])


TRANSFORM = Transform(
    "permute", "disguise", permute, "kinprint transform permute examples/models/finetune -o disguised --spaces heads,neurons"
)
