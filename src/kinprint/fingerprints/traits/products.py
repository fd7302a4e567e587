"""Singular values of the QK and the VO product of a whole layer (GhostSpec, arXiv 2511.06390).

With K and V repeated to the query heads, W_q W_k^T is the sum over key-value heads g of (sum of the Q_h of its query heads)^T
K_g: its rank is at most key-value heads times head size, and its singular values follow from the two factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Array
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.pieces import blocks
from kinprint.fingerprints.spectra import gram_values, krylov_values, start
from kinprint.fingerprints.traits.heads import SLAB, Side, both_sides, heads_and_groups

FOR_SCORES = True

FULL_RANK = 1024
"""Up to this rank all values are measured: half a second for each product of a layer 4096 wide, on one core."""

LEADING = 64
"""How many are measured beyond."""

BASIS = 192
"""Size of the basis that the leading ones are found in. Where values fall off as 1 / sqrt(i) most are less than 1e-4 too
small, the last ones 2 %, in steeper spectra less; in flat spectra, those of random weights, all are up to 8 %."""


def rows(layer: Layer) -> dict[str, Array]:
    """products.qk_spectrum, products.vo_spectrum (k,), descending; NaN if not all of it is finite."""
    spectra = {}
    for name, query, key in (("products.qk_spectrum", "q", "k"), ("products.vo_spectrum", "o", "v")):
        sides = both_sides(layer, query, key)
        divided = heads_and_groups(layer, name, sides) if sides else None
        if sides and divided:
            left, right = (side.rows for side in sides)
            if not all(side.finite for side in sides):
                spectra[name] = np.full(_count(left, right) if sides[1].down is None else _count_of_latent(sides), np.nan)
            elif sides[1].down is not None:
                spectra[name] = _through_latent(*sides, divided[0])[: _count_of_latent(sides)]
            elif len(right) <= FULL_RANK:
                spectra[name] = _all(left, right, *divided)
            else:
                spectra[name] = _leading(left, right, *divided)
    return spectra


def _count(left: NDArray[Any], right: NDArray[Any]) -> int:
    return LEADING if len(right) > FULL_RANK else min(*right.shape, left.shape[1])


def _all(left: NDArray[Any], right: NDArray[Any], heads: int, groups: int) -> Array:
    """All values, from Gram matrices that are added up over slabs of columns."""
    grams = np.zeros((2, len(right), len(right)))
    for begin in range(0, right.shape[1], SLAB):
        columns = slice(begin, begin + SLAB)
        for gram, matrix, count in zip(grams, (left, right), (heads, groups), strict=True):
            part = _folded(matrix[:, columns], count, groups)
            gram += part @ part.T
    return gram_values(*grams)[: _count(left, right)]


def _count_of_latent(sides: tuple[Side, Side]) -> int:
    return int(min(side.rows.shape[1] for side in sides))


def _through_latent(left: Side, right: Side, heads: int) -> Array:
    """All values, from Gram matrices as large as the latent of keys and values.

    The product is the sum over heads of left_h^T up_h, times down: (hidden, latent) by (latent, hidden). The sum is a matrix
    (latent of the queries, or hidden) by latent, which takes one head of either side at a time.
    """
    assert right.down is not None
    inner = _total(
        one.T @ other
        for one, other in zip(blocks(right.rows, heads, np.float32), blocks(left.rows, heads, np.float32), strict=True)
    )
    grams = np.zeros((2, len(inner), len(inner)))
    for begin in range(0, right.down.shape[1], SLAB):
        columns = slice(begin, begin + SLAB)
        folded = inner[:, columns] if left.down is None else inner @ left.down[:, columns]
        for gram, part in zip(grams, (folded, right.down[:, columns]), strict=True):
            wide = part.astype(np.float64)
            gram += wide @ wide.T
    return gram_values(*grams)


def _folded(matrix: NDArray[Any], heads: int, groups: int) -> Array:
    """(groups * width, n) float64: the rows of the heads of each group, added up."""
    result = np.zeros((groups, len(matrix) // heads, matrix.shape[1]))
    for head, block in enumerate(blocks(matrix, heads, np.float64)):
        result[head * groups // heads] += block
    return result.reshape(-1, matrix.shape[1])


def _leading(left: NDArray[Any], right: NDArray[Any], heads: int, groups: int) -> Array:
    """The leading values, a head of the two parts in memory at a time."""
    shared = heads // groups

    def apply(x: Array) -> Array:
        inner = [block @ x for block in blocks(right, groups, np.float32)]
        return _total(block.T @ inner[head // shared] for head, block in enumerate(blocks(left, heads, np.float32)))

    def adjoint(y: Array) -> Array:
        inner = [block @ y for block in blocks(left, heads, np.float32)]
        folded = [_total(iter(inner[group * shared : (group + 1) * shared])) for group in range(groups)]
        return _total(block.T @ folded[group] for group, block in enumerate(blocks(right, groups, np.float32)))

    with np.errstate(all="ignore"):  # what overflows is NaN in the end
        return krylov_values(apply, adjoint, start(right.shape[1]), LEADING, most=BASIS)


def _total(terms: Iterator[Array]) -> Array:
    """Their sum, in the storage of the first."""
    found = next(terms)
    for term in terms:
        found += term
    return found
