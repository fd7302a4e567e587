"""shift: add constants that norms and softmaxes take out again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.architectures.companions import companion
from kinprint.architectures.facts import BY_LAYER
from kinprint.arrays import Float64s
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator, widened
from kinprint.transforms._transform import Transform
from kinprint.transforms.fold_gains import fold_gains, read_through, untied

Numbers = Callable[[], Float64s]

WRITERS = ("o", "down", "shared_down", "biases.o", "biases.down", "biases.shared_down")
UNTURNED = ("learned", "sinusoidal", "none", "alibi", "bias", "shared_bias")
"""Positions that leave queries and keys as they are."""

SPREAD = 4.0
"""Ratio of the largest to the smallest factor of the mean of a norm's bias."""


def shift(model: Model, *, seed: int | None = None) -> Model:
    """Add constants that norms and softmaxes take out again: probabilities stay; logits stay up to one number a position.

    LayerNorm takes out the mean. So what writes the residual stream may write any number into all channels alike, and what
    reads it, once gains are folded, may have any number added to a row. Softmax takes out what all its inputs share: one vector
    added to every row of the output matrix or of a softmax router, a number added to the keys' bias where positions do not
    rotate it. Weights of attention sum to 1, so a constant goes from the values' bias into the outputs'. And a vector goes
    from the embeddings of tokens into those of learned positions. An output head that is tied to the embedding becomes a tensor
    of its own.

    Args:
        seed: of the constants.
    """
    seed = drawn(seed)
    model = prepared(model)
    applied = False
    for kind in KINDS:
        parts = kind(model, seed)
        model, applied = model.updated(parts), applied or bool(parts)
    if not applied:
        raise TransformError(model.source, "none of its norms and softmaxes takes out a constant")
    return model


def prepared(model: Model) -> Model:
    """The model with gains folded where LayerNorms leave more free after that, and with an output matrix of its own."""
    if _folded(model):
        model = fold_gains(model)
    if not _capped(model) and not model.rest and any(entry.roles == ("head",) for entry in model.table.tensors.values()):
        model = untied(model)
    return model


def _means_taken_out(model: Model) -> bool:
    """Whether all that reads the residual stream subtracts its mean first."""
    if model.facts["norm"] != "layer":
        return False
    if not model.facts["norm_first"]:  # a block's output is normed at once, whatever else the file holds
        return model.whole_layers
    norms = [(layer, "gains.input") for layer in range(model.layers)] + [(None, "gains.final")]
    return not model.rest and all(model.get(*norm) is not None for norm in norms)


def _means(model: Model, seed: int) -> dict[Place, Part]:
    """The mean of a norm's bias meets the mean of each row that reads it, and nothing else does: a factor between the two."""
    parts: dict[Place, Part] = {}
    for norm, readers in read_through(model).items() if _folded(model) else ():
        bias = _bias_of(norm)
        if bias in model.parts:
            half = np.log(SPREAD) / 2
            factor = float(np.exp(generator(seed, "shift", "mean", *norm).uniform(-half, half)))
            parts |= {place: _mean_times(model.parts[place], 1 / factor) for place in readers}
            parts[bias] = _mean_times(model.parts[bias], factor)
    return parts


def _read(model: Model, seed: int) -> dict[Place, Part]:
    """A number to every row of what reads a LayerNorm. Times what its bias sums to, it comes out of the row's own bias."""
    parts: dict[Place, Part] = {}
    for norm, readers in read_through(model).items() if _folded(model) else ():
        bias = model.parts.get(_bias_of(norm))
        for place in readers:
            part, own = model.parts[place], (place[0], f"biases.{place[1]}", place[2])
            numbers = _numbers(seed, part, part.shape[0], "read", *place)
            if bias is not None and own not in model.parts:
                continue
            if bias is not None:
                parts[own] = _added(model.parts[own], _then(numbers, _met, bias))
            parts[place] = _added(part, _then(numbers, _column))
    return parts


def _written(model: Model, seed: int) -> dict[Place, Part]:
    """What writes the residual stream writes a number more into all channels alike."""
    if not _means_taken_out(model):
        return {}
    first = model.facts["norm_first"]
    outside = {"embedding", "position"} if first or model.get(None, "gains.embedding") is not None else set()
    outside |= {"norm_biases.embedding"} if first else set()
    outside -= {"embedding"} if _predicts(model) else set()
    parts: dict[Place, Part] = {}
    for place, part in model.parts.items():
        if place[1] in (WRITERS if place[0] is not None else outside):
            axis = part.axes.index("residual")
            units = part.shape[1 - axis] if len(part.shape) > 1 else 1
            numbers = _numbers(seed, part, units, "written", *place)
            parts[place] = _added(part, _then(numbers, _column) if len(part.shape) > 1 and axis == 1 else numbers)
    return parts


def _normed_heads(model: Model, seed: int) -> dict[Place, Part]:
    """Where LayerNorm goes over every head's query and key: a vector to all rows of a head alike."""
    parts: dict[Place, Part] = {}
    for (layer, role, expert), part in model.parts.items():
        norm = f"gains.{role.removeprefix('biases.')}"
        if norm in ("gains.q", "gains.k") and model.facts["norm"] == "layer" and model.normed_heads(layer, norm) == "each":
            heads, inputs = part.shape[0] // model.head_dim, part.shape[1] if len(part.shape) > 1 else 1
            numbers = _numbers(seed, part, heads * inputs, "normed", layer, role)
            parts[layer, role, expert] = _added(part, _then(numbers, _repeated, heads, part.shape))
    return parts


def _logits(model: Model, seed: int) -> dict[Place, Part]:
    """One vector to every row of the output matrix, where it is not the embedding too."""
    head = model.get(None, "head")
    return {} if head is None or _capped(model) or not model.table.free_head else _alike(model, seed, (None, "head", None))


def _routers(model: Model, seed: int) -> dict[Place, Part]:
    """One vector to every row of a router whose scores pass a softmax."""
    parts: dict[Place, Part] = {}
    for place in list(model.parts):
        if place[1] == "router" and model.table.softmax_router and model.get(place[0], "biases.correction") is None:
            parts |= _alike(model, seed, place)
    return parts


def _alike(model: Model, seed: int, place: Place) -> dict[Place, Part]:
    """A matrix with one vector added to all rows, and its bias, if it has one, with one number."""
    part, bias = model.parts[place], (place[0], f"biases.{place[1]}", place[2])
    numbers = _numbers(seed, part, part.shape[1], "alike", *place)
    parts = {place: _added(part, numbers)}
    if bias in model.parts:
        parts[bias] = _added(model.parts[bias], _numbers(seed, model.parts[bias], 1, "alike", *bias))
    return parts


def _values(model: Model, seed: int) -> dict[Place, Part]:
    """A vector more in the values' bias, and what the outputs make of it less in theirs."""
    parts: dict[Place, Part] = {}
    for layer in range(model.layers):
        matrix, outputs = model.get(layer, "v"), model.get(layer, "o")
        value, output = model.get(layer, "biases.v"), model.get(layer, "biases.o")
        if matrix is None or outputs is None or value is None or output is None or not _sums_to_one(model, layer):
            continue
        numbers = _numbers(seed, matrix, value.shape[0], "values", layer)
        parts[layer, "biases.v", None] = _added(value, numbers)
        parts[layer, "biases.o", None] = _added(output, _then(numbers, _passed_on, outputs, model.groups))
    return parts


def _keys(model: Model, seed: int) -> dict[Place, Part]:
    """A vector more in the keys' bias, on the dimensions that positions do not turn: every score of a query moves alike."""
    if "head_dim" not in model.facts:
        return {}
    positions = model.facts["positions"]
    turned = int(model.facts["rotary_dim"]) if positions == "rope" and "rotary_dim" in model.facts else 0
    if not (positions in UNTURNED or (positions == "rope" and 0 < turned < model.head_dim)):
        return {}
    parts: dict[Place, Part] = {}
    for layer in range(model.layers):
        matrix, bias = model.get(layer, "k"), model.get(layer, "biases.k")
        if matrix is None or bias is None or model.normed_heads(layer, "gains.k") or not _sums_to_one(model, layer):
            continue
        free = np.tile(np.arange(model.head_dim) >= turned, model.groups)
        numbers = _numbers(seed, matrix, len(free), "keys", layer)
        parts[layer, "biases.k", None] = _added(bias, _then(numbers, np.multiply, free))
    return parts


def _tokens(model: Model, seed: int) -> dict[Place, Part]:
    """A vector more in every token's embedding and less in every position's."""
    embedding, position = model.get(None, "embedding"), model.get(None, "position")
    if embedding is None or position is None or model.facts["positions"] != "learned":
        return {}
    tied_and_capped = model.get(None, "head") is None and _capped(model)
    scaled = model.config.get("scale_embedding")
    apart = embedding.shape[1] != position.shape[1] or scaled or (model.rest and model.facts["norm_first"])
    if apart or tied_and_capped:
        return {}
    numbers = _numbers(seed, position, position.shape[1], "tokens")
    return {
        (None, "embedding", None): _added(embedding, numbers),
        (None, "position", None): _added(position, _then(numbers, np.negative)),
    }


def _predicts(model: Model) -> bool:
    """Whether a head without a role reads the stream, which may multiply it by the embedding (words that are masked)."""
    return any(companion(name) in ("head for masked words", "output head") for name in model.rest)


def _folded(model: Model) -> bool:
    return _means_taken_out(model) and bool(model.facts["norm_first"])


def _bias_of(norm: Place) -> Place:
    return norm[0], norm[1].replace("gains.", "norm_biases."), norm[2]


def _sums_to_one(model: Model, layer: int) -> bool:
    """Whether the weights of a layer's attention are a softmax of scores alone, and values reach the outputs unchanged."""
    known = model.whole_layers and model.facts["positions"] not in ("decay", "unknown")
    added = (model.get(layer, role) for role in ("biases.sinks", "attention_gate"))
    plain = model.between is None and BY_LAYER not in model.facts
    return known and plain and not _capped(model) and all(part is None for part in added)


def _capped(model: Model) -> bool:
    """Whether the configuration sends logits, or scores of attention, through a bounded function."""
    return any("logit" in key and "cap" in key and value for key, value in model.config.items())


def _numbers(seed: int, like: Part, count: int, *what: object) -> Numbers:
    """(count,) normal random numbers as large as the entries of a part, drawn when they are needed."""

    def draw() -> Float64s:
        size = np.linalg.norm(widened(like.read())) / np.sqrt(np.prod(like.shape))
        return generator(seed, "shift", *what).standard_normal(count) * float(size)

    return draw


def _then(numbers: Numbers, form: Callable[..., Float64s], *more: object) -> Numbers:
    """The numbers in another form, when they are needed."""
    return lambda: form(numbers(), *more)


def _column(numbers: Float64s) -> Float64s:
    return numbers[:, None]


def _met(numbers: Float64s, bias: Part) -> Float64s:
    """What numbers in all entries of a row make of a norm's bias, less."""
    return np.asarray(-numbers * _values_of(bias).sum())


def _repeated(numbers: Float64s, heads: int, shape: tuple[int, ...]) -> Float64s:
    """A vector for each head, for all rows of the head."""
    return np.repeat(numbers.reshape(heads, -1), shape[0] // heads, axis=0).reshape(shape)


def _passed_on(numbers: Float64s, outputs: Part, groups: int) -> Float64s:
    """What outputs make of values that are the same at every position, less."""
    matrix = _values_of(outputs)
    width = len(numbers) // groups
    heads = np.repeat(numbers.reshape(groups, width), matrix.shape[1] // len(numbers), axis=0)
    return np.asarray(-matrix @ heads.ravel())


def _values_of(part: Part) -> Float64s:
    return np.asarray(part.read(), np.float64)


def _added(part: Part, numbers: Numbers) -> Part:
    return changed(part, lambda array: array + numbers().astype(array.dtype))


def _mean_times(part: Part, factor: float) -> Part:
    """A matrix with the mean of every row multiplied, or a vector with its mean."""

    def apply(array: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = array.mean(axis=-1, keepdims=True, dtype=np.float64)
        return np.asarray(array + (mean * (factor - 1)).astype(array.dtype))

    return changed(part, apply)


KINDS = (_means, _read, _written, _normed_heads, _logits, _routers, _values, _keys, _tokens)

TRANSFORM = Transform("shift", "disguise", shift, "kinprint transform shift examples/models/finetune -o disguised --seed 7")
