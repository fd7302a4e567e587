"""Simulated models: everything that unrelated models share, and nothing that they do not."""

from __future__ import annotations

import numpy as np

from kinprint.fingerprints import Fingerprint

CHANNELS, NEURONS, GROUPS, MEMBERS, EXPERTS, RANK = 64, 48, 4, 2, 16, 12


def model(rng: np.random.Generator, layers: int = 4, name: str = "model") -> Fingerprint:
    """A fingerprint whose units have no names.

    Depth trends, outlier channels, heavy tails and the dependence between features are the same for every model; which
    unit has which value is not. Heads of a group share what their key-value head gives them.
    """
    trend = 1 + 0.5 * np.sin(np.linspace(0, 3, layers))[:, None]
    level = np.exp(0.3 * rng.standard_t(3, CHANNELS)).clip(0.1, 50)
    level[rng.choice(CHANNELS, 3, replace=False)] *= [8.0, 15.0, 30.0]
    traits = {
        f"channels.{role}": trend * level * np.exp(0.2 * rng.standard_t(4, (layers, CHANNELS))).clip(1e-3, 1e3)
        for role in ("q", "k", "v", "o", "gate", "up", "down")
    }
    traits["gains.input"] = trend * (1 + 0.1 * np.log(level) + 0.01 * rng.standard_normal((layers, CHANNELS)))
    shared = rng.standard_t(3, (layers, NEURONS, 1))
    traits["neurons.invariants"] = trend[..., None] + 0.7 * shared + rng.standard_t(3, (layers, NEURONS, 5))
    heads = rng.normal(size=(layers, GROUPS, 1, 1)).repeat(MEMBERS, 2).reshape(layers, GROUPS * MEMBERS, 1)
    decay = np.linspace(0, -4, RANK)
    for kind in ("qk", "vo"):
        noise = 0.3 * rng.standard_t(4, (layers, GROUPS * MEMBERS, RANK))
        traits[f"heads.{kind}_spectrum"] = np.sort(np.exp(trend[..., None] + heads + decay + noise), axis=-1)[..., ::-1]
    strength = np.exp(0.5 * rng.standard_t(3, (layers, EXPERTS, 1))).clip(1e-3, 1e3)
    for trait, width in (("norms", 2), ("profile", 25)):
        traits[f"experts.{trait}"] = strength * np.exp(0.2 * rng.normal(size=(layers, EXPERTS, width)))
    return Fingerprint(name, traits, {"num_key_value_heads": GROUPS, "num_attention_heads": GROUPS * MEMBERS})


def descendant(parent: Fingerprint, rng: np.random.Generator, noise: float, layers: list[int] | None = None) -> Fingerprint:
    """The parent with every value changed by a factor around one, or by an addend, of relative size `noise`."""
    traits = {}
    for name, trait in parent.traits.items():
        kept = np.asarray(trait, dtype=np.float64)[range(len(trait)) if layers is None else layers]
        spread = kept.std() if "invariants" in name else np.abs(kept)
        traits[name] = kept + noise * spread * rng.standard_normal(kept.shape)
    for kind in ("qk", "vo"):
        traits[f"heads.{kind}_spectrum"] = np.sort(np.abs(traits[f"heads.{kind}_spectrum"]), axis=-1)[..., ::-1]
    return Fingerprint("descendant", traits, parent.facts)
