"""Weights in a form that does not depend on where a model keeps what its function fixes only in products.

The gain of a norm may stand in the norm or in the matrices that read it: it is folded into them. A LayerNorm subtracts the
mean over channels, so what readers say of that mean, and what writers add to all channels alike, counts for nothing: it is
taken out. A gated neuron computes the same if its up row is multiplied and its down column divided; one behind an activation
that is homogeneous also trades size with what stands in front of it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.roles import norms_before
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer, Scan
from kinprint.fingerprints.pieces import pieces

Array = NDArray[Any]

DEGREES = {"relu": 1, "leaky_relu": 1, "linear": 1, "identity": 1, "relu2": 2, "relu_squared": 2, "squared_relu": 2}
"""Activations f with f(s x) = s^degree f(x) for every s > 0."""


def degree(facts: Mapping[str, Any]) -> int | None:
    """Of a homogeneous activation; None where multiplying its input changes more than the size of its output."""
    name = facts.get("activation")
    return DEGREES.get(name.lower()) if isinstance(name, str) else None


def gain_before(layer: Layer, role: str) -> NDArray[np.float32] | None:
    """(hidden,) of the norm whose output a matrix reads; None where it reads none, or a norm without a gain."""
    name = norm_before(role, layer.facts, layer.roles)
    return None if name is None else widened(layer.roles[name][0].part.read())


def norm_before(role: str, facts: Mapping[str, Any], roles: Container[str]) -> str | None:
    """Role of the gain in front of a matrix, of those that a layer has; None where there is none, or it stands behind the
    blocks, on the residual stream."""
    if not facts.get("norm_first", True):
        return None
    return next((f"gains.{norm}" for norm in norms_before(role) if f"gains.{norm}" in roles), None)


def centred(facts: Mapping[str, Any]) -> bool:
    """Whether the norms on the residual stream take the mean over channels out."""
    return facts.get("norm") == "layer"


def canonical(layer: Layer, role: str, lines: Array) -> Array:
    """Lines (n, hidden) along the residual stream, rows of what reads it or columns of what writes it, in canonical form."""
    return with_gain(lines, gain_before(layer, role), centred(layer.facts))


def with_gain(lines: Array, gain: Array | None, centre: bool) -> Array:
    """Lines (n, hidden) times the gain in front of them, less their mean over channels."""
    if gain is not None:
        lines = lines * gain.astype(lines.dtype, copy=False)
    return lines - lines.mean(axis=1, keepdims=True) if centre else lines


def channel_squares(layer: Layer, item: Scan, weights: Array | None = None) -> Array:
    """(hidden,) float64: of each residual channel the sum of squares over a matrix in canonical form.

    Args:
        weights: (lines,) of the neurons, heads or tokens; all 1 where None, and then most models need no second pass.
    """
    writes = item.part.axes[0] == "residual"
    gain, centre = gain_before(layer, item.part.role), centred(layer.facts)
    if weights is None and not centre:
        found = item.sums.row_squares if writes else item.sums.column_squares
        return found if gain is None else found * gain.astype(np.float64) ** 2
    if weights is None:
        weights = np.ones(item.part.shape[1 if writes else 0])
    counted = np.nan_to_num(weights, posinf=0.0, neginf=0.0).astype(np.float32)
    with np.errstate(all="ignore"):
        return _of_rows(item, centre, counted) if writes else _of_columns(item, gain, centre, counted)


def _of_rows(item: Scan, centre: bool, weights: NDArray[np.float32]) -> Array:
    """Weighted sums of squares of the rows, each column less its mean."""
    means = (item.sums.column_sums / item.part.shape[0]).astype(np.float32) if centre else np.float32(0)
    return np.concatenate([np.square(piece - means) @ weights for piece in _widened(item)]).astype(np.float64)


def _of_columns(item: Scan, gain: Array | None, centre: bool, weights: NDArray[np.float32]) -> Array:
    """Weighted sums of squares of the columns, each row times the gain and less its mean."""
    found, start = np.zeros(item.part.shape[1]), 0
    for piece in _widened(item):
        found += weights[start : start + len(piece)] @ np.square(with_gain(piece, gain, centre))
        start += len(piece)
    return found


def _widened(item: Scan) -> Iterator[NDArray[np.float32]]:
    """Pieces of a matrix, zeros in the place of what is not finite."""
    for piece in pieces(item.part.read()):
        wide = widened(piece)
        yield np.where(np.isfinite(wide), wide, np.float32(0)) if item.sums.totals[7] else wide
