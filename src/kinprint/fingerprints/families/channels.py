"""Norms per residual channel: what the channel test compares."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.fingerprints.layer import Array, Layer, residual_squares


def rows(layer: Layer) -> dict[str, Array]:
    """channels.<role> (hidden,), experts pooled; embedding.input, embedding.output (hidden,) around the mean token."""
    found = {}
    for role in MATRIX_ROLES:
        if role in layer.roles and "residual" in layer.roles[role][0].part.axes:
            found[f"channels.{role}"] = np.sqrt(np.sum([residual_squares(item) for item in layer.roles[role]], axis=0))
    for role, side in (("embedding", "input"), ("head", "output")):
        if role in layer.roles:
            sums = layer.roles[role][0].sums
            around = sums.column_squares - sums.column_sums**2 / max(len(sums.row_squares), 1)
            found[f"embedding.{side}"] = np.sqrt(np.maximum(around, 0.0))
    return found
