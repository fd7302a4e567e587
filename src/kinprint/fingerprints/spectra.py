"""Singular values of each head's QK and VO product, without forming a product (GhostSpec, arXiv 2511.06390).

For A, B of shape (d, hidden), the singular values of A^T B are the square roots of the eigenvalues of L^T (B B^T) L, with
L L^T = A A^T: d by d matrices instead of hidden by hidden. In float64 the values above 1e-3 of the largest keep ten digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def grams(matrix: NDArray[Any], blocks: int) -> Array:
    """(blocks, d, d) Gram matrices of `blocks` equal blocks of rows of a (blocks * d, n) matrix."""
    width = matrix.shape[0] // blocks
    result = np.empty((blocks, width, width))
    for block in range(blocks):
        rows = matrix[block * width : (block + 1) * width].astype(np.float64)
        result[block] = rows @ rows.T
    return result


def product_spectra(left: Array, right: Array) -> Array:
    """Singular values of A_h^T B_g(h) from the Gram matrices of A and B.

    Args:
        left: (heads, d, d) Gram matrices of A.
        right: (groups, d, d) of B; heads is a multiple of groups, and heads of a group follow each other.

    Returns:
        (heads, d) float64, descending.
    """
    root = np.stack([_root(gram) for gram in left])
    shared = np.repeat(right, len(left) // len(right), axis=0)
    squares = np.linalg.eigvalsh(root.transpose(0, 2, 1) @ shared @ root)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0))[:, ::-1])


def _root(gram: Array) -> Array:
    """L with L L^T = gram; by Cholesky, or by eigenvectors where rows are linearly dependent."""
    try:
        return np.asarray(np.linalg.cholesky(gram), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
