"""Entries at fixed places: enough to recognise the same weights, or a weighted sum of known ones."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Array
from kinprint.fingerprints.layer import Layer, Scan, finite
from kinprint.fingerprints.sample_positions import positions

SAMPLED = 256
SAMPLED_OUTSIDE = 1024


def rows(layer: Layer) -> dict[str, Array]:
    """sample.<role> (256,), and sample.embedding, sample.head (1, 1024)."""
    samples = {f"sample.{role}": _shared(layer.roles[role], SAMPLED) for role in MATRIX_ROLES if role in layer.roles}
    for role in ("embedding", "head"):
        if role in layer.roles:
            samples[f"sample.{role}"] = _shared(layer.roles[role], SAMPLED_OUTSIDE)[None]
    return samples


def _shared(scans: list[Scan], count: int) -> Array:
    """Of experts, an equal share of the positions each: entry i is taken from expert i modulo their number."""
    entries = np.empty(count, np.float32)
    for number, item in enumerate(scans[:count]):
        own = slice(number, None, len(scans))
        where = np.unravel_index(positions(item.part.role, tuple(item.part.shape), count)[own], item.part.shape)
        entries[own] = item.part.read()[where].astype(np.float32)
    return finite(entries)
