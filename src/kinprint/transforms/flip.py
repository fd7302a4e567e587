"""flip: turn the signs of gated neurons."""

from __future__ import annotations

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, drawn, generator, scaled
from kinprint.transforms._transform import Transform

OUTER = ("up", "down", "shared_up", "shared_down")


def flip(model: Model, *, seed: int | None = None, share: float = 0.5) -> Model:
    """Multiply the up row and the down column of some gated neurons by -1, so that the function stays.

    Args:
        seed: of the choice.
        share: of the neurons that are turned.
    """
    seed = drawn(seed)
    if not 0 <= share <= 1:
        raise TransformError(model.source, "the share must lie between 0 and 1")
    if not any(place[1] in ("gate", "shared_gate") for place in model.parts):
        raise TransformError(model.source, "its neurons have no gate: their sign is part of what they compute")

    model.require_free_signs()

    def turned(place: Place, part: Part) -> Part:
        layer, role, expert = place
        kind = role.removeprefix("biases.")
        if layer is None or kind not in OUTER or role in ("biases.down", "biases.shared_down"):
            return part
        axis = 1 if kind.endswith("down") else 0
        where = kind.replace("down", "up")
        draws = generator(seed, "flip", where, layer, expert).random(part.shape[axis])
        return scaled(part, axis, np.where(draws < share, -1.0, 1.0))

    return model.each(turned)


TRANSFORM = Transform("flip", "disguise", flip, "kinprint transform flip examples/models/finetune -o disguised --seed 7")
