"""fold-gains: multiply norm gains into the matrices that read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.architectures.folding import GAINS, gain_before
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, constant, widened
from kinprint.transforms._transform import Transform


def fold_gains(model: Model) -> Model:
    """Set every norm gain in front of a block to 1 by folding it into the matrices that read it.

    What LayerNorms add is divided by the gain, so that no bias is needed elsewhere. An output head that is tied to the
    embedding becomes a tensor of its own. Norms behind a block keep their gains: they act on the residual stream itself.
    """
    if not model.facts["norm_first"]:
        raise TransformError(model.source, "its norms stand behind the blocks, on the residual stream, and cannot be folded")
    model.require_known("fold-gains")
    if not model.table.free_head:
        raise TransformError(model.source, "the rows of its output head may be normed, which undoes what is folded into them")
    model = untied(model)
    parts: dict[Place, Part] = {}
    for (layer, role, _), readers in read_through(model).items():
        gain = model.parts[layer, role, None]
        parts |= {place: _times(model.parts[place], gain) for place in readers}
        if (shift := model.get(layer, role.replace("gains.", "norm_biases."))) is not None:
            parts[layer, shift.role, None] = _divided(shift, gain, model.source)
        parts[layer, role, None] = constant(gain, role, gain.shape, 1.0)
    return model.updated(parts)


def read_through(model: Model) -> dict[Place, list[Place]]:
    """The gains of every norm in front of a block, or of the output head -> the matrices that read the norm."""
    readers: dict[Place, list[Place]] = {place: [] for place in model.parts if place[1] in GAINS}
    for place in model.parts:
        layer, role, _ = place
        gain = gain_before(role, model.facts, {name for name in GAINS if (layer, name, None) in model.parts})
        if gain is not None:
            readers[layer, gain, None].append(place)
    return readers


def _times(part: Part, gain: Part) -> Part:
    return changed(part, lambda array: array * widened(gain.read()).astype(array.dtype))


def _divided(shift: Part, gain: Part, source: str) -> Part:
    def divide(array: np.ndarray) -> np.ndarray:
        factors = widened(gain.read())
        if not factors.all():
            raise TransformError(source, f"{gain.tensor} holds zeros, which cannot be divided out of its bias")
        return np.asarray(array / factors)

    return changed(shift, divide)


def untied(model: Model) -> Model:
    """The model with an output head of its own, since it reads the final norm and the embedding does not."""
    embedding = model.get(None, "embedding")
    if model.get(None, "head") is not None or embedding is None:
        return model
    heads = [(key, entry) for key, entry in model.table.tensors.items() if entry.roles == ("head",)]
    if not heads:
        raise TransformError(model.source, "no output head reads its final norm, which therefore cannot be folded")
    pattern, entry = heads[0]
    example = next(name for name in model.names if name.entry.roles == ("embedding",))
    return replace(
        model,
        parts={**model.parts, (None, "head", None): replace(embedding, role="head")},
        names=(*model.names, replace(example, pattern=pattern, entry=entry)),
        config={**model.config, "tie_word_embeddings": False},
        outer={**model.outer, "tie_word_embeddings": False} if model.outer else {},
        facts={**model.facts, "tie_word_embeddings": False},
    )


TRANSFORM = Transform(
    "fold-gains", "disguise", fold_gains, "kinprint transform fold-gains examples/models/finetune -o disguised"
)
