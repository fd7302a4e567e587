"""Moments of all entries of a matrix (arXiv 2507.03014 compares their standard deviations), experts pooled."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Array
from kinprint.fingerprints.kernels import moments
from kinprint.fingerprints.layer import Layer, Scan


def rows(layer: Layer) -> dict[str, Array]:
    """moments.<role> (6,), and moments.embedding, moments.head (1, 6)."""
    inside = {f"moments.{role}": _pooled(layer.roles[role]) for role in MATRIX_ROLES if role in layer.roles}
    outside = {f"moments.{role}": _pooled(layer.roles[role])[None] for role in ("embedding", "head") if role in layer.roles}
    return inside | outside


def _pooled(scans: list[Scan]) -> Array:
    totals = np.sum([item.sums.totals for item in scans], axis=0)
    totals[5] = max(item.sums.totals[5] for item in scans)
    return moments(totals)
