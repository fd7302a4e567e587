"""Fingerprints of models that exist only as entries: what `gather` is tested on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kinprint.fingerprints import Fingerprint

LAYERS, HIDDEN, NEURONS, SAMPLED = 4, 64, 128, 256
SHAPES = {"q": [1, HIDDEN, HIDDEN], "o": [1, HIDDEN, HIDDEN], "up": [1, NEURONS, HIDDEN], "down": [1, HIDDEN, NEURONS]}
Entries = dict[str, NDArray[np.float64]]


def base(rng: np.random.Generator, layers: int = LAYERS) -> Entries:
    """Independent of every other: heavy tails, channels of different size, gains near one."""
    found = {f"sample.{role}": 0.05 * rng.standard_t(6, (layers, SAMPLED)) for role in SHAPES}
    return found | {"gains.input": 1 + 0.1 * rng.normal(size=(layers, HIDDEN))}


def child(rng: np.random.Generator, parent: Entries, size: float = 0.1) -> Entries:
    """Trained on: a difference of `size` times the parent's deviation."""
    return {name: value + size * value.std() * rng.standard_t(6, value.shape) for name, value in parent.items()}


def combined(parts: Mapping[int, Entries] | list[tuple[float, Entries]]) -> Entries:
    """The sum of multiples of entries."""
    pairs = list(parts.items()) if isinstance(parts, Mapping) else parts
    return {name: np.asarray(sum(factor * entries[name] for factor, entries in pairs)) for name in pairs[0][1]}


def fingerprint(
    name: str, entries: Entries, dtype: str = "bfloat16", shapes: Mapping[str, list[int]] | None = None
) -> Fingerprint:
    """As measured of a model of these entries, stored in `dtype`; `shapes` replace those of some roles."""
    layers = len(entries["sample.q"])
    roles = [key.removeprefix("sample.") for key in entries]
    facts = {"hidden_size": HIDDEN, "dtypes": dict.fromkeys(roles, dtype)}
    facts |= {"shapes": {role: [shape] * layers for role, shape in (SHAPES | dict(shapes or {})).items()}}
    stored = {key: value.astype(np.dtype(dtype)).astype(np.float32) for key, value in entries.items()}
    return Fingerprint(name, stored, facts)
