"""What one more pass over a factor of the heads' products gives, for channels and for forms: each head is widened once.

The products of a head, S = W_q^T W_k and P = W_o W_v, are A^T B for a factor A, with B the other one. How much of channel c
there is in S is the diagonal of A^T G A, with G = B B^T; its leading directions are those of A^T G A. With G = L L^T they
follow from the eigenvectors of L^T A A^T L, and so do those of B where every head has a B of its own: no further ones are
worked out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from kinprint.arrays import Array
from kinprint.fingerprints.folded import fold
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.pieces import blocks
from kinprint.fingerprints.spectra import root_of
from kinprint.fingerprints.traits.heads import Side, head_grams, head_map

DIRECTIONS = 128
"""Leading directions of a factor that are kept, shared out evenly over the heads."""

FEW = 8
"""Up to this part of all eigenvectors are found faster alone than all of them."""


class Factor(NamedTuple):
    """One factor A of the products of a layer's heads.

    Attributes:
        squares: (hidden,) float64, the diagonal of A_h^T G_h A_h, added up over heads; heads that are not finite are left out.
        leading: (n, hidden) float32, of every head the leading eigenvectors of A_h^T G_h A_h times the roots of their values;
            a row of NaN if something is not finite.
    """

    squares: Array
    leading: NDArray[np.float32]


class _Ways(NamedTuple):
    """Of one head: (d, n) of the rows of A that give the leading directions, and (n,) their squared lengths."""

    rows: Array
    squares: Array


def factors(layer: Layer, sides: tuple[Side, Side], heads: int, groups: int) -> tuple[Factor, Factor]:
    """Both factors of a product, each computed once a layer.

    Args:
        sides: of the queries or outputs, and of the keys or values, whose rows divide into heads and groups.
    """
    if f"{sides[0].role} squares" not in layer.kept:
        ours, theirs = head_grams(layer, sides[0], heads), head_grams(layer, sides[1], groups)
        times, count, of_group = heads // groups, max(DIRECTIONS // heads, 1), max(DIRECTIONS // groups, 1)
        shared = ours.reshape(groups, times, *ours.shape[1:]).sum(axis=1)
        roots, of_theirs = np.repeat(_roots(theirs), times, axis=0), _roots(shared)
        ways = [_ways(*each, count) for each in zip(ours, roots, strict=True)]
        if heads == groups:
            their_ways = [_of_the_other(*each) for each in zip(ways, ours, strict=True)]
        else:
            their_ways = [_ways(*each, of_group) for each in zip(theirs, of_theirs, strict=True)]
        found = _pass(layer, sides[0], roots, ways), _pass(layer, sides[1], of_theirs, their_ways)
        for side, factor in zip(sides, found, strict=True):
            layer.kept |= {f"{side.role} {name}": values for name, values in factor._asdict().items()}
    one, other = (Factor(*(layer.kept[f"{side.role} {name}"] for name in Factor._fields)) for side in sides)
    return one, other


def _roots(grams: Array) -> Array:
    """L with L L^T = G for each G of (n, d, d); NaN where something is not finite."""
    roots = np.full(grams.shape, np.nan)
    for number in np.flatnonzero(np.isfinite(grams).all(axis=(1, 2))):
        roots[number] = root_of(grams[number])
    return roots


def _ways(gram: Array, root: Array, count: int) -> _Ways:
    """Of a head whose Gram matrix is A A^T, given L of the other one's; NaN if something is not finite."""
    if not (np.isfinite(gram).all() and np.isfinite(root).all()):
        return _Ways(np.full((len(gram), 1), np.nan), np.full(1, np.nan))
    inner, count = root.T @ gram @ root, min(count, len(gram))
    if FEW * count > len(inner):
        values, basis = np.linalg.eigh(inner)
    else:
        values, basis = eigh(inner, subset_by_index=(len(inner) - count, len(inner) - 1), check_finite=False)
    return _Ways(root @ basis[:, : -count - 1 : -1], np.asarray(values[: -count - 1 : -1]))


def _of_the_other(ways: _Ways, gram: Array) -> _Ways:
    """Those of B, given those of A and A A^T; none for what is within rounding of zero."""
    known = ways.squares > len(gram) * np.finfo(float).eps * ways.squares[0]
    sizes = np.sqrt(np.where(known, ways.squares, 1.0))
    return _Ways(np.where(known, gram @ ways.rows / sizes, ways.squares * 0.0), ways.squares)


def _pass(layer: Layer, side: Side, roots: Array, ways: list[_Ways]) -> Factor:
    """Of the roots (heads, d, d) of the Gram matrices of what each head is multiplied with, and of its ways."""
    hidden = side.rows.shape[1] if side.down is None else side.down.shape[1]
    squares, leading = np.zeros(hidden), []
    with np.errstate(all="ignore"):
        for head, (block, root, way) in enumerate(zip(blocks(side.rows, len(roots), np.float32), roots, ways, strict=True)):
            rows, turn = block if side.down is None else block @ side.down, head_map(layer, side, head)
            fold(layer, side.reads, rows)
            own = way.rows.T if turn is None else way.rows.T @ turn
            leading.append(np.asarray(own.astype(np.float32) @ rows))
            of_channels = _column_squares(root, rows) if turn is None else _squares(root.T @ turn, rows)
            if np.isfinite(of_channels).all():
                squares += of_channels
    found = np.concatenate(leading)
    return Factor(squares, found if np.isfinite(found).all() else np.full((1, hidden), np.nan, np.float32))


def _column_squares(root: Array, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) sums of squares of the columns of root^T rows, of rows (d, n); a triangular root costs three quarters.

    Not by a triangular product of BLAS, which rounds otherwise where rows lie otherwise in memory.
    """
    if np.triu(root, 1).any():
        return _squares(root.T, rows)
    half = len(root) // 2
    return _squares(root[:, :half].T, rows) + _squares(root[half:, half:].T, rows[half:])


def _squares(inner: Array, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) sums of squares of the columns of inner rows, of rows (d, n)."""
    product = inner.astype(np.float32) @ rows
    return np.asarray(np.einsum("dc,dc->c", product, product))
