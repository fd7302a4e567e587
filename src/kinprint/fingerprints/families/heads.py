"""Singular values of each head's QK and VO product, without forming a product (GhostSpec, arXiv 2511.06390).

For A, B of shape (d, hidden), the singular values of A^T B are the square roots of the eigenvalues of L^T (B B^T) L, with
L L^T = A A^T: d by d matrices instead of hidden by hidden. In float64 the values above 1e-3 of the largest keep ten digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Array, Layer
from kinprint.fingerprints.pieces import RELEASE, release


def rows(layer: Layer) -> dict[str, Array]:
    """heads.qk_spectrum, heads.vo_spectrum (heads, rank), a row for each query head; NaN if not all of it is finite."""
    heads, groups = layer.facts.get("num_attention_heads"), layer.facts.get("num_key_value_heads")
    found = {}
    for name, left, right in (("heads.qk_spectrum", "q", "k"), ("heads.vo_spectrum", "o", "v")):
        parts = layer.first(left, right)
        if not parts:
            continue
        if not (heads and groups) or heads % groups or _width(parts[0], heads) != _width(parts[1], groups):
            layer.notes.append(f"{name}: {left} and {right} of layer {layer.index} do not divide into the heads declared")
            continue
        found[name] = product_spectra(_grams(parts[0], heads), _grams(parts[1], groups))
    return found


def _width(part: Part, blocks: int) -> float:
    """Rows (of o: columns) of a part that belong to one head."""
    return part.shape[1 if part.role == "o" else 0] / blocks


def _grams(part: Part, blocks: int) -> Array:
    array = part.read()
    return grams(array.T if part.role == "o" else array, blocks)


def grams(matrix: NDArray[Any], blocks: int) -> Array:
    """(blocks, d, d) float64 Gram matrices of `blocks` equal blocks of rows of a (blocks * d, n) matrix."""
    width, unreleased = matrix.shape[0] // blocks, 0
    result = np.empty((blocks, width, width))
    for block in range(blocks):
        part = matrix[block * width : (block + 1) * width]
        turned = part.strides[0] < part.strides[1]  # the rows lie side by side: copy along memory, then turn
        rows = widened(part.T, np.float64).T if turned else widened(part, np.float64)
        result[block] = rows @ rows.T
        unreleased += part.nbytes
        if unreleased >= RELEASE:
            release(matrix)
            unreleased = 0
    return result


def product_spectra(left: Array, right: Array) -> Array:
    """Singular values of A_h^T B_g(h) from the Gram matrices of A and B.

    Args:
        left: (heads, d, d) Gram matrices of A.
        right: (groups, d, d) of B; heads is a multiple of groups, and heads of a group follow each other.

    Returns:
        (heads, d) float64, descending; NaN for a head whose matrices are not finite.
    """
    shared = np.repeat(right, len(left) // len(right), axis=0)
    usable = np.isfinite(left).all(axis=(1, 2)) & np.isfinite(shared).all(axis=(1, 2))
    result = np.full(left.shape[:2], np.nan)
    if usable.any():
        root = np.stack([_root(gram) for gram in left[usable]])
        squares = np.linalg.eigvalsh(root.transpose(0, 2, 1) @ shared[usable] @ root)
        result[usable] = np.sqrt(np.maximum(squares, 0.0))[:, ::-1]
    return result


def _root(gram: Array) -> Array:
    """L with L L^T = gram; by Cholesky, or by eigenvectors where rows are linearly dependent."""
    try:
        return np.asarray(np.linalg.cholesky(gram), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
