"""split: divide neurons in two and pad with dead ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator
from kinprint.transforms._transform import Transform

ALIGNED = 8
"""Kernels want rows of whole blocks: a number of neurons that this divides stays one."""


def split(model: Model, *, seed: int | None = None, share: float = 0.1, dead: float = 0.05) -> Model:
    """Divide some neurons into two that share their output, and add neurons that do nothing, so that the function stays.

    Args:
        seed: of the choice.
        share: of the neurons of a layer that are divided.
        dead: neurons added that have no output (half of them: no input), as a share of the layer's neurons; a few more where
            that keeps their number a multiple of 8.
    """
    seed = drawn(seed)
    if not (0 <= share <= 1 and 0 <= dead <= 10):
        raise TransformError(model.source, "the share must lie between 0 and 1, dead units between 0 and 10 times the neurons")
    model.require_free_signs()
    model.require_free_products()
    sizes = {part.shape[0] for place, part in model.parts.items() if place[1] == "up"}
    if len(sizes) > 1:
        raise TransformError(model.source, f"its layers have different numbers of neurons ({sorted(sizes)})")
    if not sizes:
        raise TransformError(model.source, "it has no neurons that the architecture table knows")
    size = sizes.pop()
    plans: dict[tuple[int | None, int | None], NeuronPlan] = {}

    def applied(place: Place, part: Part) -> Part:
        layer, role, expert = place
        if role.removeprefix("biases.") not in ("gate", "up") and role != "down":
            return part
        plan = plans.setdefault((layer, expert), _plan(size, seed, share, dead, layer, expert))
        return plan.columns(part) if role == "down" else plan.rows(part)

    return model.each(applied).resized(intermediate_size=_plan(size, seed, share, dead).count)


@dataclass(frozen=True)
class NeuronPlan:
    """The neurons of one layer of the new model.

    Attributes:
        source: the old neuron that each new one is; where it is dead, one whose weights it wears shuffled.
        weight: share of the old neuron's output; 0 where dead.
        alive: of its input: False where it reads nothing.
        seed: of the shuffles.
    """

    source: NDArray[np.int64]
    weight: NDArray[np.float64]
    reads: NDArray[np.bool_]
    seed: tuple[object, ...]

    @property
    def count(self) -> int:
        return len(self.source)

    def rows(self, part: Part) -> Part:
        """gate, up or their biases; dead neurons wear the weights of another in another order, or none."""

        def apply(array: NDArray[np.float32]) -> NDArray[np.float32]:
            new = array[self.source]
            for unit in np.flatnonzero((self.weight == 0) & self.reads) if new.ndim > 1 else []:
                new[unit] = generator(*self.seed, part.role, unit).permutation(new[unit])  # type: ignore[arg-type]
            if not part.role.endswith("gate"):
                new[~self.reads] = 0
            return new

        return changed(part, apply, (self.count, *part.shape[1:]))

    def columns(self, part: Part) -> Part:
        """down; a neuron that reads nothing keeps its output weights, since it has nothing to say."""
        weight = np.where(self.reads, self.weight, 1.0)
        shape = (part.shape[0], self.count)
        return changed(part, lambda array: array[:, self.source] * weight.astype(array.dtype), shape)


def _plan(size: int, seed: int, share: float, dead: float, *where: object) -> NeuronPlan:
    rng = generator(seed, "split", *where)
    divided, added = round(size * share), round(size * dead)
    if size % ALIGNED == 0:
        added += -(divided + added) % ALIGNED
    twins = rng.permutation(size)[:divided]
    first = rng.uniform(0.2, 0.8, divided)
    weight = np.ones(size)
    weight[twins] = first
    source = np.concatenate([np.arange(size), twins, rng.integers(0, size, added)])
    weight = np.concatenate([weight, 1 - first, np.zeros(added)])
    reads = np.arange(len(source)) < size + divided + added // 2
    order = rng.permutation(len(source))
    return NeuronPlan(source[order], weight[order], reads[order], (seed, "dead", *where))


TRANSFORM = Transform("split", "disguise", split, "kinprint transform split examples/models/finetune -o disguised --share 0.2")
