"""What one more pass over a factor of the heads' products gives, for channels and for forms: each head is widened once.

The products of a head, S = W_q^T W_k and P = W_o W_v, are A^T B for a factor A, with B the other one. How much of channel c
there is in S is the diagonal of A^T G A, with G = B B^T; its leading directions are those of A^T G A.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Array
from kinprint.fingerprints.folded import fold
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.pieces import blocks
from kinprint.fingerprints.traits.heads import Side, head_grams, head_map

DIRECTIONS = 128
"""Leading directions of a factor that are kept, shared out evenly over the heads."""


class Factor(NamedTuple):
    """One factor A of the products of a layer's heads.

    Attributes:
        squares: (hidden,) float64, the diagonal of A_h^T G_h A_h, added up over heads; heads that are not finite are left out.
        leading: (n, hidden) float32, of every head the leading eigenvectors of A_h^T G_h A_h times the roots of their values;
            a row of NaN if something is not finite.
    """

    squares: Array
    leading: NDArray[np.float32]


def factors(layer: Layer, sides: tuple[Side, Side], heads: int, groups: int) -> tuple[Factor, Factor]:
    """Both factors of a product, each computed once a layer.

    Args:
        sides: of the queries or outputs, and of the keys or values, whose rows divide into heads and groups.
    """
    if f"{sides[0].role} squares" not in layer.kept:
        ours, theirs = head_grams(layer, sides[0], heads), head_grams(layer, sides[1], groups)
        shared = ours.reshape(groups, heads // groups, *ours.shape[1:]).sum(axis=1)
        for side, others, times in ((sides[0], theirs, heads // groups), (sides[1], shared, 1)):
            found = _pass(layer, side, np.repeat(others, times, axis=0), np.repeat(_roots(others), times, axis=0))
            layer.kept |= {f"{side.role} {name}": values for name, values in found._asdict().items()}
    one, other = (Factor(*(layer.kept[f"{side.role} {name}"] for name in Factor._fields)) for side in sides)
    return one, other


def _roots(grams: Array) -> Array:
    """R with R R^T = G for each G of (n, d, d); NaN where something is not finite."""
    roots = np.full(grams.shape, np.nan)
    for number in np.flatnonzero(np.isfinite(grams).all(axis=(1, 2))):
        values, vectors = np.linalg.eigh(grams[number])
        roots[number] = vectors * np.sqrt(np.maximum(values, 0))
    return roots


def _pass(layer: Layer, side: Side, others: Array, roots: Array) -> Factor:
    """Of the Gram matrices (heads, d, d) of what each head is multiplied with, and of their roots."""
    hidden = side.rows.shape[1] if side.down is None else side.down.shape[1]
    squares, leading, each = np.zeros(hidden), [], max(DIRECTIONS // len(others), 1)
    with np.errstate(all="ignore"):
        for head, (block, gram, root) in enumerate(zip(blocks(side.rows, len(others), np.float32), others, roots, strict=True)):
            rows, turn = block if side.down is None else block @ side.down, head_map(layer, side, head)
            fold(layer, side.reads, rows)
            of_channels = _diagonal(rows, gram if turn is None else turn.T @ gram @ turn)
            if np.isfinite(of_channels).all():
                squares += np.maximum(of_channels, 0)
            leading.append(_leading(rows, root, turn, each))
    found = np.concatenate(leading)
    return Factor(squares, found if np.isfinite(found).all() else np.full((1, hidden), np.nan, np.float32))


def _diagonal(rows: NDArray[np.float32], inner: Array) -> NDArray[np.float32]:
    """(n,) of A^T inner A, of rows (d, n)."""
    product = inner.astype(np.float32) @ rows
    return np.asarray(np.einsum("dc,dc->c", np.ascontiguousarray(rows), product))


def _leading(rows: NDArray[np.float32], root: Array, turn: Array | None, count: int) -> NDArray[np.float32]:
    """(count, n) leading eigenvectors of A^T R R^T A times the roots of their values, of rows (d, n); NaN if something is not
    finite."""
    gram = (rows @ rows.T).astype(np.float64)
    if turn is not None:
        gram = turn @ gram @ turn.T
    inner = root.T @ gram @ root
    if not np.isfinite(inner).all():
        return np.full((1, rows.shape[1]), np.nan, np.float32)
    _, basis = np.linalg.eigh(inner)
    ways = (root @ basis[:, ::-1][:, :count]).T
    return np.asarray((ways if turn is None else ways @ turn).astype(np.float32) @ rows)
