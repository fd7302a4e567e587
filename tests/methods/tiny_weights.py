"""Models of random weights, in memory, for methods that take whole checkpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.architectures.roles import axes
from kinprint.architectures.weights import Weights


def model(
    seed: int = 0,
    *,
    layers: int = 2,
    hidden: int = 16,
    neurons: int = 20,
    heads: int = 4,
    groups: int = 2,
    head_dim: int = 3,
    gated: bool = True,
    experts: int = 0,
    vocabulary: int = 50,
    norm: str = "rms",
) -> Weights:
    """Normal weights; tokens `word0` ... in order, after two control tokens."""
    rng = np.random.default_rng(seed)
    arrays: dict[Place, Any] = {(None, "embedding", None): rng.normal(size=(vocabulary, hidden))}
    for layer in range(layers):
        for role, rows in (("q", heads), ("k", groups), ("v", groups)):
            arrays[layer, role, None] = rng.normal(size=(rows * head_dim, hidden))
        arrays[layer, "o", None] = rng.normal(size=(hidden, heads * head_dim))
        for gains in ("gains.input", "gains.post_attention"):
            arrays[layer, gains, None] = rng.uniform(0.5, 2, hidden)
        for expert in range(experts) if experts else [None]:
            for role in ("gate", "up") if gated else ("up",):
                arrays[layer, role, expert] = rng.normal(size=(neurons, hidden))
            arrays[layer, "down", expert] = rng.normal(size=(hidden, neurons))
    facts = {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": head_dim,
        "norm": norm,
    }
    tokens = {"<s>": 0, "[PAD]": 1} | {f"word{index}": index for index in range(2, vocabulary)}
    parts = {place: part(place, array) for place, array in arrays.items()}
    return Weights(f"model{seed}", "memory", facts, parts, tokens)


def part(place: Place, array: Any) -> Part:
    layer, role, expert = place
    array = np.asarray(array, dtype=np.float32)
    return Part(role, layer, expert, axes(role), array.shape, array.dtype, "tensor", lambda: array)


def changed(weights: Weights, changes: dict[Place, Any]) -> Weights:
    """Other arrays at some places; None takes a part away."""
    parts = {place: held for place, held in weights.parts.items() if place not in changes}
    parts |= {place: part(place, array) for place, array in changes.items() if array is not None}
    return replace(weights, parts=parts)


def noisy(weights: Weights, amount: float, seed: int = 9) -> Weights:
    """A descendant: normal noise on every matrix."""
    rng = np.random.default_rng(seed)
    matrices = {place: held.read() for place, held in weights.parts.items() if len(held.shape) == 2}
    return changed(weights, {place: array + amount * rng.normal(size=array.shape) for place, array in matrices.items()})
