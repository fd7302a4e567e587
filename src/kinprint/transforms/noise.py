"""noise: random numbers added to the weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator, matrices
from kinprint.transforms._transform import Transform


def noise(model: Model, *, amount: float = 0.01, seed: int | None = None) -> Model:
    """Add normal random numbers to the matrices inside the layers.

    Args:
        amount: their standard deviation, as a share of the standard deviation of each matrix.
        seed: of the numbers.
    """
    seed = drawn(seed)
    if not 0 <= amount <= 100:
        raise TransformError(model.source, f"noise of {amount:g} standard deviations", "give a number between 0 and 100")

    def noisy(place: Place, part: Part) -> Part:
        def added(array: NDArray[np.float32]) -> NDArray[np.float32]:
            spread = np.float32(amount * array.std(dtype=np.float64))
            return array + spread * generator(seed, "noise", place).standard_normal(array.shape, np.float32)

        return changed(part, added)

    return model.updated({place: noisy(place, part) for place, part in matrices(model)})


TRANSFORM = Transform("noise", "derivation", noise, "kinprint transform noise examples/models/base -o noisy --amount 0.05")
