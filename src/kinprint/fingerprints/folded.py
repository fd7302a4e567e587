"""A layer's lines in folded form (`kinprint.architectures.folding`), and what channels sum up to in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import folding
from kinprint.architectures.folding import centred
from kinprint.arrays import Array
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer, Scan
from kinprint.fingerprints.pieces import pieces


def gain_before(layer: Layer, role: str) -> NDArray[np.float32] | None:
    """(hidden,) of the norm whose output a matrix reads; None where it reads none, or a norm without a gain."""
    name = folding.gain_before(role, layer.facts, layer.roles)
    if name is None:
        return None
    if name not in layer.kept:
        layer.kept[name] = widened(layer.roles[name][0].part.read())
    return layer.kept[name]


def folded(layer: Layer, role: str, lines: Array) -> Array:
    """Lines (n, hidden) along the residual stream, rows of what reads it or columns of what writes it, in folded form."""
    return folding.folded(lines, gain_before(layer, role), centre=centred(layer.facts))


def fold(layer: Layer, role: str, lines: Array) -> None:
    """Bring lines (n, hidden), as for `folded`, into folded form where they are."""
    gain = gain_before(layer, role)
    if gain is not None:
        np.multiply(lines, gain.astype(lines.dtype, copy=False), out=lines)
    if centred(layer.facts):
        np.subtract(lines, lines.mean(axis=1, keepdims=True), out=lines)


def channel_squares(layer: Layer, item: Scan, weights: Array | None = None) -> Array:
    """(hidden,) float64: of each residual channel the sum of squares over a matrix in folded form.

    Args:
        weights: (lines,) of the neurons, heads or tokens; all 1 where None, and then most models need no second pass.
    """
    writes = item.part.axes[0] == "residual"
    gain, centre = gain_before(layer, item.part.role), centred(layer.facts)
    if weights is None and not centre:
        squares = item.sums.row_squares if writes else item.sums.column_squares
        return squares if gain is None else squares * gain.astype(np.float64) ** 2
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
    squares, start = np.zeros(item.part.shape[1]), 0
    for piece in _widened(item):
        squares += weights[start : start + len(piece)] @ np.square(folding.folded(piece, gain, centre=centre))
        start += len(piece)
    return squares


def _widened(item: Scan) -> Iterator[NDArray[np.float32]]:
    """Pieces of a matrix, zeros in the place of what is not finite."""
    for piece in pieces(item.part.read()):
        wide = widened(piece)
        yield np.where(np.isfinite(wide), wide, np.float32(0)) if item.sums.totals[7] else wide
