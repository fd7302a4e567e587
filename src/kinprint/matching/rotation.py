"""Orthogonal maps between two residual streams, and what they make of directions."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float32s
from kinprint.fingerprints.kernels import widened
from kinprint.matching.device import product

Real = TypeVar("Real", np.float32, np.float64)

RIDGE = 0.05
"""Share of the mean eigenvalue added before a root is inverted: directions with less are noise, not structure."""

VOTES = 1e-3
"""Share of the mean squared singular value below which a direction of the cross-covariance has no vote in a rotation."""


def lengths(rows: NDArray[Real]) -> NDArray[Real]:
    """(n,) norms of rows (n, d)."""
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", rows, rows)))


def unit(rows: NDArray[Real]) -> NDArray[Real]:
    """Rows divided by their norms; zero rows stay zero."""
    return np.asarray(rows / np.maximum(lengths(rows), np.finfo(np.float32).tiny)[:, None])


def inverse_root(covariance: NDArray[np.float64]) -> Float32s:
    """(d, d) symmetric C^(-1/2), scaled so that isotropic vectors keep their length; covariant under rotation."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float32))
    values = np.maximum(values, 0) / max(float(values.mean()), 1e-30)
    return np.asarray((vectors / np.sqrt(values + RIDGE)) @ vectors.T, dtype=np.float32)


def principal(covariance: NDArray[np.float64], most: int) -> tuple[Float32s, Float32s]:
    """(d, k) orthonormal columns, the k = min(d, most) directions of largest variance, and (d, k) the same, each divided by its
    standard deviation: what takes vectors to whitened coordinates, scaled so that isotropic vectors keep their length."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float32))
    values = np.maximum(values, 0) / max(float(values.mean()), 1e-30)
    basis = vectors[:, ::-1][:, :most]
    return np.ascontiguousarray(basis), np.asarray(basis / np.sqrt(values[::-1][:most] + RIDGE), dtype=np.float32)


def nearest_rotation(cross: Float32s) -> Float32s:
    """The orthogonal map nearest to a cross-covariance (Procrustes; Schoenemann, 1966).

    Args:
        cross: (suspect channels, reference channels), sum of y x^T over matched unit vectors.

    Returns:
        float32 of the same shape: Q with Q x ~ y. Directions on which the matches say nothing are mapped to zero.
    """
    if len(cross) > cross.shape[1]:
        return nearest_rotation(cross.T).T
    values, vectors = np.linalg.eigh(cross @ cross.T)
    values = np.maximum(values, 0)
    inverse = np.where(values > VOTES * values.mean(), 1 / np.sqrt(np.maximum(values, 1e-30)), 0.0).astype(np.float32)
    return np.asarray((vectors * inverse) @ (vectors.T @ cross), dtype=np.float32)


def cosines(reference: NDArray[np.floating], suspect: NDArray[np.floating], rotation: Float32s) -> Float32s:
    """(reference units, suspect units) cosines of unit vectors after the rotation."""
    return product(product(widened(reference), rotation.T), widened(suspect).T)
