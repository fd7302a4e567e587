"""Norm gains and biases, as they are."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Array
from kinprint.fingerprints.layer import Layer, finite


def rows(layer: Layer) -> dict[str, Array]:
    """gains.*, biases.*, norm_biases.* (n,)."""
    named = (role for role in layer.roles if role.startswith(("gains.", "biases.", "norm_biases.")))
    return {role: finite(layer.roles[role][0].part.read().astype(np.float32)) for role in named}
