"""Fingerprints of random traits, in the shapes that Llama-like models have: for benchmarks that need sizes, not models.

What has no part in a test or in a vector is left out (moments, samples of embeddings). A relative has its parent's traits with
noise: its tests are as costly as those of a fine-tune, and find it.
"""

from __future__ import annotations

import numpy as np
from random_models import Shape

from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, EVEN, ODD
from kinprint.fingerprints.readings import TOKENS

FORMS, FORM_ENTRIES, READINGS = 2048, 1 << 22, 4096
"""Most neurons of a layer in `neurons.forms`, most entries of their vectors, most neurons in `readings`."""

SAMPLED = 256
ROLES = ("q", "k", "v", "o", "gate", "up", "down")


def fingerprint(name: str, shape: Shape, seed: int) -> Fingerprint:
    """A model that was trained independently of those of other seeds."""
    rng = np.random.default_rng(seed)

    def normal(*size: int) -> np.ndarray:
        return rng.standard_normal(size, dtype=np.float32)

    layers, hidden, neurons = shape.layers, shape.hidden, shape.neurons
    traits = {f"channels.{role}": np.exp(0.3 * normal(layers, hidden)) for role in ROLES}
    traits |= {f"sample.{role}": normal(layers, SAMPLED) for role in ROLES}
    traits |= {f"gains.{place}": 1 + 0.1 * normal(layers, hidden) for place in ("input", "post_attention")}
    traits |= {"embedding.input": np.exp(0.3 * normal(hidden)), "gains.final": 1 + 0.1 * normal(hidden)}
    traits |= {f"columns.{role}": normal(hidden, 16) for role in ("embedding", "head")}
    traits["neurons.invariants"] = 0.1 * normal(layers, neurons, 5)
    forms = 0.1 * normal(layers, min(neurons, FORMS, FORM_ENTRIES // hidden), len(COLUMNS))
    forms[..., next(number for number in range(len(COLUMNS)) if number not in (*EVEN, *ODD))] = 0
    traits["neurons.forms"] = forms
    for kind in ("qk", "vo"):
        spectra = np.exp(
            0.3 * normal(layers, shape.heads, shape.head_dim) - np.linspace(0, 3, shape.head_dim, dtype=np.float32)
        )
        traits[f"heads.{kind}_spectrum"] = -np.sort(-spectra, axis=-1)
    traits |= {f"readings.{role}": normal(min(neurons, READINGS), TOKENS) for role in ("gate", "up")}
    return Fingerprint(name, traits, _facts(shape, f"weights of {name}, seed {seed}"))


def relative(name: str, parent: Fingerprint, noise: float, seed: int) -> Fingerprint:
    """A descendant: every value changed by a normal number of `noise` standard deviations of its trait."""
    rng = np.random.default_rng(seed)
    traits = {}
    for key, values in parent.traits.items():
        moved = values + noise * values.std() * rng.standard_normal(values.shape, dtype=np.float32)
        positive = key.startswith(("channels.", "embedding.", "heads."))
        traits[key] = np.abs(moved) if positive else moved
        if key.endswith("_spectrum"):
            traits[key] = -np.sort(-traits[key], axis=-1)
    return Fingerprint(name, traits, {**parent.facts, "content": f"weights of {name}, seed {seed}"})


def _facts(shape: Shape, content: str) -> dict[str, object]:
    queries, keys, neurons = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.neurons
    rows = {"q": queries, "k": keys, "v": keys, "gate": neurons, "up": neurons}
    sizes = {role: [1, count, shape.hidden] for role, count in rows.items()}
    sizes |= {"o": [1, shape.hidden, queries], "down": [1, shape.hidden, neurons]}
    return {
        "family": "llama", "model_type": "llama", "positions": "rope", "free_signs": True, "content": content,
        "hidden_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim, "intermediate_size": shape.neurons,
        "vocab_size": shape.vocabulary, "parameters": shape.nbytes // 2,
        "shapes": {role: [size] * shape.layers for role, size in sizes.items()},
    }  # fmt: skip
