"""MLP spectra: the distance of GhostSpec on the singular values of gate, up and down (arXiv 2511.06390)."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float64s
from kinprint.fingerprints.spectra import krylov_values, matrix_values, start
from kinprint.methods._method import Finding, Score
from kinprint.methods._spectra import Spectra, by_suspect_layer, correspond, similarity
from kinprint.progress import counted

ROLES = ("gate", "up", "down")

WIDE = 1024
"""Matrices whose smaller side is larger than this one are compared by their leading values."""

LEADING, BASIS = 64, 192
"""How many leading values, and the size of the basis they are found in."""


def run(reference: Weights, suspect: Weights) -> Finding:
    """Similarity of the mean spectral distance over layers and matrices, as in ghostspec-mse; of experts the first."""
    ours, theirs = spectra(reference), spectra(suspect)
    layers = correspond(ours, theirs)
    return Finding(
        statistic=similarity(layers.distance),
        parts={role: float(distances.mean()) for role, distances in layers.distances.items()} | {"distance": layers.distance},
        layers=by_suspect_layer(layers, suspect.layers),
        note="The scale ends at 0.976, the value of a copy; strangers of one shape and recipe reach 0.97. Parts are "
        "distances, layers similarities.",
    )


def spectra(model: Weights) -> Spectra:
    """role -> (layers, k) singular values, descending, of the matrices as stored; NaN where a layer has none."""
    layers = range(model.layers)
    by_role = {role: [_values(model, layer, role) for layer in counted(layers, f"{role}s", len(layers))] for role in ROLES}
    return {role: table for role in ROLES if (table := _table(by_role[role])) is not None}


def _values(model: Weights, layer: int, role: str) -> Float64s | None:
    experts = model.experts(layer)
    matrix = model.stored(layer, role, experts[0]) if experts else None
    if matrix is None or not np.isfinite(matrix).all():
        return None
    if min(matrix.shape) <= WIDE:
        return matrix_values(matrix)
    return krylov_values(lambda x: matrix @ x, lambda y: matrix.T @ y, start(matrix.shape[1]), LEADING, most=BASIS)


def _table(rows: list[Float64s | None]) -> Float64s | None:
    """Rows cut to the length of the shortest."""
    length = min((len(row) for row in rows if row is not None), default=0)
    return np.stack([np.full(length, np.nan) if row is None else row[:length] for row in rows]) if length else None


METHOD = Score(
    name="mlp-spectra",
    summary="shape of the singular spectra of gate, up and down",
    needs=(),
    source="GhostSpec, arXiv 2511.06390 (AAAI 2026)",
    known_failure="Matrices of one shape, trained by one recipe, have spectra of one shape: strangers of the zoo reach 0.973. "
    "Long training and scaling neurons on purpose hide descent.",
    run=run,
    deep=True,
)
