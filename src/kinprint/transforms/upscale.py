"""upscale: a deeper model from copies of the layers."""

from __future__ import annotations

from collections.abc import Sequence

from kinprint.transforms._layers import relayered
from kinprint.transforms._model import Model
from kinprint.transforms._transform import Transform


def upscale(model: Model, *, layers: Sequence[int] | None = None) -> Model:
    """Make a model deeper by using layers twice.

    Args:
        layers: the layer of the model that each new layer copies; by default two copies joined, the first without its last
            quarter and the second without its first quarter (depth up-scaling, SOLAR 10.7B, arXiv 2312.15166, section 2).
    """
    if layers is None:
        cut = model.layers // 4
        layers = [*range(model.layers - cut), *range(cut, model.layers)]
    return relayered(model, list(layers))


TRANSFORM = Transform("upscale", "derivation", upscale, "kinprint transform upscale examples/models/base -o deeper")
