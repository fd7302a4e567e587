"""replace: exchange part of every layer's neurons for shuffled ones that know nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator
from kinprint.transforms._transform import Transform

AXES = {"gate": 0, "up": 0, "down": 1}


def replace(model: Model, *, amount: float = 0.5, seed: int | None = None) -> Model:
    """Replace neurons by shuffled ones: the same weights in another order, so that nothing they learned remains.

    Args:
        amount: share of every layer's neurons.
        seed: of the choice and of the orders.
    """
    seed = drawn(seed)
    if not 0 <= amount <= 1:
        raise TransformError(model.source, f"cannot replace {amount:g} of a model's neurons", "give a share between 0 and 1")

    def replaced(place: Place, part: Part) -> Part:
        layer, role, expert = place
        if role not in AXES:
            return part
        axis = AXES[role]
        count = part.shape[axis]
        chosen = generator(seed, "chosen", layer, expert).permutation(count)[: round(amount * count)]

        def shuffled(array: NDArray[np.float32]) -> NDArray[np.float32]:
            rows = np.array(array.T if axis else array)
            rows[chosen] = generator(seed, "order", place).permuted(rows[chosen], axis=1)
            return rows.T if axis else rows

        return changed(part, shuffled)

    return model.each(replaced)


TRANSFORM = Transform(
    "replace", "derivation", replace, "kinprint transform replace examples/models/base -o replaced --amount 0.5"
)
