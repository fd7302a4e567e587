"""rotate: turn the residual stream by a random orthogonal matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.arrays import Float64s
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator, orthogonal, widened
from kinprint.transforms._transform import Transform
from kinprint.transforms.fold_gains import fold_gains


def rotate(model: Model, *, seed: int | None = None) -> Model:
    """Turn the residual stream by a random orthogonal matrix, after folding the norm gains, so that the function stays.

    LayerNorm subtracts the mean, so there the matrix is drawn among those that keep the direction of the mean. Models whose
    blocks write through a norm with gains of its own (Gemma 2, OLMo 2, BLOOM's embedding) have no such freedom.

    Args:
        seed: of the matrix, which is uniform (Haar) over the orthogonal matrices.
    """
    seed = drawn(seed)
    model.require_known("rotate")
    if (why := model.why_kept("channels")) is not None:
        raise TransformError(model.source, f"its channels have names: the model {why}")
    model = fold_gains(model)
    for part in model.parts.values():
        if part.role.startswith("gains.") and "residual" in part.axes and np.ptp(widened(part.read())) > 0:
            raise TransformError(
                model.source, f"{part.tensor} scales single channels of the residual stream: no rotation keeps that"
            )
    width = int(model.facts["hidden_size"])
    turn = rotation(width, seed, keep_mean=model.facts["norm"] == "layer")

    def turned(place: Place, part: Part) -> Part:
        if part.role.startswith("gains."):
            return part
        for axis, space in enumerate(part.axes):
            if space == "residual":
                part = changed(part, lambda array, axis=axis: _turn(array, turn, axis))  # type: ignore[misc]
        return part

    return model.each(turned)


def rotation(width: int, seed: int, *, keep_mean: bool) -> Float64s:
    """(width, width) a uniformly random orthogonal matrix; with `keep_mean`, among those that fix the vector of ones."""
    rng = generator(seed, "rotation")
    if not keep_mean:
        return orthogonal(rng, width)
    inner = np.eye(width)
    inner[1:, 1:] = orthogonal(rng, width - 1)
    mirror = np.full(width, width**-0.5)
    mirror[0] -= 1  # the Householder reflection that exchanges the first axis and the direction of the mean
    reflection = np.eye(width) - 2 * np.outer(mirror, mirror) / (mirror @ mirror)
    return np.asarray(reflection @ inner @ reflection)


def _turn(array: NDArray[np.float32], turn: Float64s, axis: int) -> NDArray[np.float32]:
    matrix = turn.astype(array.dtype)
    return np.asarray(matrix @ array if axis == 0 else array @ matrix.T)


TRANSFORM = Transform("rotate", "disguise", rotate, "kinprint transform rotate examples/models/finetune -o disguised --seed 7")
