"""A model with its layers in another order, some left out, some twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kinprint.errors import TransformError
from kinprint.transforms._model import Model


def relayered(model: Model, order: Sequence[int]) -> Model:
    """The model whose layer i is layer `order[i]` of the given one; per-layer lists of its configuration follow.

    Raises:
        TransformError: no layers, or one that the model does not have.
    """
    if not order or not all(0 <= layer < model.layers for layer in order):
        raise TransformError(model.source, f"layers {list(order)} of a model of {model.layers}", "give indices from 0")
    model.require_one_kind()
    parts = {place: part for place, part in model.parts.items() if place[0] is None}
    for new, old in enumerate(order):
        parts |= {
            (new, role, expert): replace(part, layer=new) for (layer, role, expert), part in model.parts.items() if layer == old
        }
    if not model.whole_layers:
        model.require_known("changing layers")
    config = {key: _followed(value, model.layers, order) for key, value in model.config.items()}
    return replace(model, parts=parts, config=config).resized(num_hidden_layers=len(order))


def _followed(value: Any, layers: int, order: Sequence[int]) -> Any:
    """A list with one entry a layer, in the new order; anything else as it is."""
    return [value[old] for old in order] if isinstance(value, list) and len(value) == layers else value
