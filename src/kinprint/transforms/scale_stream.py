"""scale-stream: another size of the residual stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.architectures.roles import norms_before
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, drawn, generator, scaled
from kinprint.transforms._transform import Transform

LARGEST = 2.0
"""The largest factor; the smallest is its inverse."""

WRITERS = ("o", "down", "shared_down", "biases.o", "biases.down", "biases.shared_down", "embedding", "position")
BEHIND = ("attention_output", "feedforward_output", "embedding")
"""Norms that write the stream."""


def scale_stream(model: Model, *, seed: int | None = None) -> Model:
    """Multiply everything that writes the residual stream by one factor, which every norm that reads it divides out again.

    The small number that norms add to a variance is multiplied by the factor's square, in the configuration; queries and keys
    that pass norms of their own grow along. A tied output head is larger by the factor, so the final norm is divided by it, and
    so is what reads the stream without a norm.

    Args:
        seed: of the factor, log-uniform between 1/2 and 2.
    """
    seed = drawn(seed)
    model.require_known("scale-stream")
    if not model.facts["norm_first"]:
        raise TransformError(model.source, "its norms stand behind the blocks, on the residual stream, and set its size")
    if model.get(None, "gains.final") is None:
        raise TransformError(model.source, "no norm stands between its residual stream and the output head")
    if model.facts["positions"] in ("sinusoidal", "unknown") and model.get(None, "position") is None:
        raise TransformError(model.source, "its positions may be added by the model itself, in a size of their own")
    keys = [key for key, value in model.config.items() if "norm" in key and "eps" in key and isinstance(value, float)]
    if len(keys) != 1 or model.facts.get("qk_norm"):
        raise TransformError(model.source, "its configuration does not say what the norms of the stream add to a variance")
    factor = float(np.exp(generator(seed, "stream").uniform(-np.log(LARGEST), np.log(LARGEST))))
    model = replace(model, config={**model.config, keys[0]: model.config[keys[0]] * factor**2})
    return model.each(lambda place, part: _applied(model, place, part, factor))


def _applied(model: Model, place: Place, part: Part, factor: float) -> Part:
    layer, role, _ = place
    kind, _, norm = role.partition(".")
    of_norm = kind in ("gains", "norm_biases")
    if role in WRITERS or (of_norm and norm in BEHIND):
        return scaled(part, 0, np.repeat(factor, part.shape[0]))
    if of_norm:
        tied = norm == "final" and model.get(None, "head") is None
        return scaled(part, 0, np.repeat(1 / factor, part.shape[0])) if tied else part
    before = norms_before(role)
    if before and not any(model.get(layer, f"gains.{name}") for name in before):
        part = scaled(part, 1, np.repeat(1 / factor, part.shape[1]))
    matrix = role.removeprefix("biases.")
    if matrix in ("q", "k") and model.get(layer, f"gains.{matrix}") is not None:
        part = scaled(part, 0, np.repeat(factor, part.shape[0]))
    return part


TRANSFORM = Transform(
    "scale-stream",
    "disguise",
    scale_stream,
    "kinprint transform scale-stream examples/models/finetune -o disguised --seed 7",
)
