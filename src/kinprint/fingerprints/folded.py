"""A layer's lines in folded form (`kinprint.architectures.folding`), and what channels sum up to in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import folding
from kinprint.architectures.folding import centred
from kinprint.arrays import Array
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer, Scan
from kinprint.fingerprints.pieces import pieces

IN_CACHE = 1 << 17
"""Entries handled at a time as float32, which pass through the processor's cache several times."""


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
    into_folded(lines, gain_before(layer, role), centre=centred(layer.facts))


def into_folded(lines: NDArray[Any], gain: NDArray[np.float32] | None, *, centre: bool) -> None:
    """As `fold`, of lines behind a norm with some gain."""
    if gain is not None:
        np.multiply(lines, gain.astype(lines.dtype, copy=False), out=lines)
    if centre:
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
    finite = not item.sums.totals[7]
    if writes:
        means = item.sums.column_sums / item.part.shape[0] if centre else None
        return np.concatenate([squares_of_rows(piece, weights, means, finite=finite) for piece in pieces(item.part.read())])
    squares, start = np.zeros(item.part.shape[1]), 0
    for piece in pieces(item.part.read()):
        squares += squares_of_columns(piece, weights[start : start + len(piece)], gain, centre=centre, finite=finite)
        start += len(piece)
    return squares


def squares_of_rows(lines: NDArray[Any], weights: Array, means: Array | None, *, finite: bool) -> Array:
    """(rows,) float64 sums of squares of the rows of lines (rows, columns); entries and weights that are not finite count 0.

    Args:
        finite: whether all entries are.
        weights, means: (columns,) by which squares are multiplied, and what is taken out of the columns first.
    """
    known = _known(weights)
    with np.errstate(all="ignore"):
        if means is None:
            found = [np.square(wide, out=wide) @ known for wide in _widened(lines, finite)]
        else:
            less = means.astype(np.float32)
            found = [np.square(np.subtract(wide, less, out=wide), out=wide) @ known for wide in _widened(lines, finite)]
    return np.concatenate(found).astype(np.float64)


def squares_of_columns(
    lines: NDArray[Any], weights: Array, gain: NDArray[np.float32] | None, *, centre: bool, finite: bool
) -> Array:
    """(columns,) float64 sums of squares of the columns of lines (rows, columns), in folded form; entries and weights that are
    not finite count 0.

    Args:
        weights: (rows,) by which squares are multiplied.
        finite: whether all entries are.
    """
    known, squares, start = _known(weights), np.zeros(lines.shape[1]), 0
    with np.errstate(all="ignore"):
        for wide in _widened(lines, finite):
            into_folded(wide, gain, centre=centre)
            squares += known[start : start + len(wide)] @ np.square(wide, out=wide)
            start += len(wide)
    return squares


def _known(weights: Array) -> NDArray[np.float32]:
    return np.nan_to_num(weights, posinf=0.0, neginf=0.0).astype(np.float32)


def _widened(lines: NDArray[Any], finite: bool) -> Iterator[NDArray[np.float32]]:
    """Some rows at a time, in the same memory, zeros in the place of what is not finite."""
    step = max(IN_CACHE // max(lines.shape[1], 1), 1)
    memory = np.empty((min(step, len(lines)), lines.shape[1]), np.float32)
    for start in range(0, len(lines), step):
        part = lines[start : start + step]
        wide = widened(part, out=memory[: len(part)])
        if not finite:
            wide[~np.isfinite(wide)] = 0
        yield wide
