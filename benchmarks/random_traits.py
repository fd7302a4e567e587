"""Fingerprints of models of any shape whose traits are random numbers: comparing them costs what comparing real ones costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinprint import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, EXPERT

FORM_NUMBERS, MOST_FORMS = 1 << 22, 2048
"""As the trait table says of `neurons.forms`."""

READ_NEURONS, READ_TOKENS = 4096, 64
"""As the trait table says of `readings.*`."""

ROLES = ("q", "k", "v", "o", "gate", "up", "down")


@dataclass(frozen=True)
class Shape:
    """What fixes the size of a fingerprint of a dense model with gated neurons."""

    layers: int
    hidden: int
    heads: int
    groups: int
    neurons: int
    vocabulary: int
    head_dim: int = 128


SHAPES = {
    "8B": Shape(32, 4096, 32, 8, 14336, 128256),
    "3B": Shape(28, 3072, 24, 8, 8192, 128256),
    "7B": Shape(28, 3584, 28, 4, 18944, 152064),
    "135M": Shape(30, 576, 9, 3, 1536, 49152, 64),
    "70B": Shape(80, 8192, 64, 8, 28672, 128256),
}
"""Llama 3.1 8B, Llama 3.2 3B, Qwen2.5 7B, SmolLM2 135M, Llama 3.1 70B."""


def random_fingerprint(name: str, shape: Shape, seed: int, like: Fingerprint | None = None) -> Fingerprint:
    """A fingerprint without products, which only scores look at.

    Args:
        like: a fingerprint of the same shape of which this one is a noisy copy.
    """
    chance = np.random.default_rng(seed)

    def drawn(*axes: int) -> np.ndarray:
        return chance.standard_normal(axes, dtype=np.float32)

    def signed_columns(rows: np.ndarray, spread: float) -> np.ndarray:
        return np.asarray(rows * np.float32(spread))

    layers, hidden, forms = shape.layers, shape.hidden, min(MOST_FORMS, FORM_NUMBERS // shape.hidden, shape.neurons)
    traits = {f"channels.{role}": np.exp(signed_columns(drawn(layers, hidden), 0.1)) for role in ROLES}
    traits |= {f"moments.{role}": np.abs(drawn(layers, 6)) for role in ROLES}
    traits |= {f"sample.{role}": drawn(layers, 256) for role in ROLES}
    traits |= {f"gains.{norm}": np.exp(drawn(layers, hidden) / 10) for norm in ("input", "post_attention")}
    traits |= {f"heads.{kind}_spectrum": -np.sort(-np.exp(drawn(layers, shape.heads, shape.head_dim))) for kind in ("qk", "vo")}
    traits |= {f"readings.{role}": drawn(min(READ_NEURONS, shape.neurons), READ_TOKENS) for role in ("gate", "up")}
    traits["embedding.input"] = np.exp(drawn(hidden) / 10)
    traits["gains.final"] = np.exp(drawn(hidden) / 10)
    traits["neurons.norms"] = np.exp(drawn(layers, shape.neurons, 3) / 5)
    traits["neurons.invariants"] = drawn(layers, shape.neurons, 5) * np.float32(0.1)
    traits["neurons.forms"] = drawn(layers, forms, len(COLUMNS)) * np.float32(0.1)
    if like is not None:
        traits = {
            key: np.asarray(like.traits[key] + np.float32(0.02) * np.std(like.traits[key]) * value)
            for key, value in traits.items()
        }
    traits["neurons.forms"][..., EXPERT] = 0
    facts = {
        "model_type": "llama", "num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.groups, "head_dim": shape.head_dim, "intermediate_size": shape.neurons, "num_experts": 0,
        "vocab_size": shape.vocabulary, "free_signs": True, "positions": "rope", "norm": "rms", "named_spaces": {},
    }  # fmt: skip
    return Fingerprint(name, traits, facts)
