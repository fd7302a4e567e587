"""Singular values of a matrix or of a product of two, without a dense decomposition of the product.

For A, B of shape (rank, n), the singular values of A^T B are the square roots of the eigenvalues of L^T (B B^T) L, with
L L^T = A A^T: rank by rank matrices instead of n by n. In float64 the values above 1e-3 of the largest keep eight digits.
The leading few of a wide matrix come from a block Krylov basis, which needs products with the matrix only.

Given a `device` ("cuda", "cpu", ...) torch computes there; without one numpy does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kinprint.arrays import Array

Operator = Callable[[Any], Any]

GROWTH = 1.15
"""How much a Krylov basis grows between two looks at its values; the first is at twice as many columns as values are wanted."""


def matrix_values(matrix: Array, *, device: str | None = None) -> Array:
    """All singular values of a finite (m, n) matrix: (min(m, n),) float64, descending."""
    _, (on_device,) = _placed(device, np.float64, matrix)
    return _matrix_values(on_device)


def product_values(left: Array, right: Array, *, device: str | None = None) -> Array:
    """All singular values of left^T right that need not be zero.

    Args:
        left: (rank, m), finite.
        right: (rank, n), finite.
        device: where torch computes; None for numpy.

    Returns:
        (min(rank, m, n),) float64, descending.
    """
    _, (a, b) = _placed(device, np.float64, left, right)
    least = min(*a.shape, *b.shape)
    if 2 * a.shape[0] > min(a.shape[1], b.shape[1]):  # the product is hardly larger than its factors
        return _matrix_values(a.T @ b)[:least]
    return gram_values(a @ a.T, b @ b.T)


def leading_values(left: Array, right: Array, count: int, *, tolerance: float = 3e-4, device: str | None = None) -> Array:
    """The largest singular values of left^T right, for factors whose rank makes all of them expensive.

    Args:
        left: (rank, m), finite. The arithmetic is that of its type: float32 is at most some 1e-7 of the largest value off,
            which is 1e-5 of a value that is 1e-2 of it.
        right: (rank, n), finite, of the same type.
        count: how many.
        tolerance: as of `krylov_values`.
        device: where torch computes; None for numpy.

    Returns:
        (min(count, rank, m, n),) float64, descending.
    """
    if 4 * count > min(*left.shape, *right.shape):  # the basis would be nearly everything
        return product_values(left, right, device=device)[:count]
    _, (a, b, begin) = _placed(device, left.dtype, left, right, start(right.shape[1], 64 if count > 256 else 32))
    return krylov_values(lambda x: a.T @ (b @ x), lambda y: b.T @ (a @ y), begin, count, tolerance=tolerance)


def gram_values(left: Any, right: Any) -> Array:
    """Singular values of A^T B from the float64 Gram matrices (rank, rank) of A and B: (rank,) float64, descending.

    Arrays of numpy or tensors of torch.
    """
    root = root_of(left)
    return _roots(_library(left).linalg.eigvalsh(root.T @ right @ root))


def root_of(gram: Any) -> Any:
    """L with L L^T = gram; by Cholesky, or by eigenvectors where rows are linearly dependent.

    Rows of very different length do no harm: Cholesky does not mind, and the eigenvectors are those of rows of length 1.
    """
    library = _library(gram)
    try:
        return library.linalg.cholesky(gram)
    except (np.linalg.LinAlgError, RuntimeError):  # torch's is a RuntimeError
        lengths = gram.diagonal() ** 0.5
        lengths = lengths + (lengths == 0)
        values, vectors = library.linalg.eigh(gram / lengths / lengths[:, None])
        return lengths[:, None] * vectors * values.clip(0) ** 0.5


def start(columns: int, block: int = 32) -> Array:
    """(columns, block) float32 normal numbers, always the same: what a Krylov basis begins with, and how much it grows by."""
    return np.random.default_rng(0).standard_normal((columns, block), dtype=np.float32)


def krylov_values(
    apply: Operator, adjoint: Operator, block: Any, count: int, *, most: int | None = None, tolerance: float = 3e-4
) -> Array:
    """The largest singular values of a matrix M that is known through its products (Golub and Kahan, in blocks).

    The basis spans X, M^T M X, (M^T M)^2 X ...; it is orthogonalised against all of itself, and the values are those of
    M restricted to it, which approach the exact ones from below.

    Args:
        apply: (n, columns) -> M times it.
        adjoint: (m, columns) -> M^T times it.
        block: X, (n, any), of numpy or torch. Everything but the last small eigenvalue problem has its type.
        count: how many values.
        most: largest size of the basis; values that have not converged by then are returned as they are. All by default.
        tolerance: values have converged when those above 1e-3 of the largest change by no more than this part of them while
            the basis grows by GROWTH. They are then better than that: on random matrices and on spectra that fall off, changes
            of 3e-4 left errors below 1e-5.

    Returns:
        (count,) float64, descending. A value that is not finite makes all of them NaN.
    """
    library, most = _library(block), min(most or len(block), len(block))
    basis, rounding = block[:, :0], 10 * float(library.finfo(block.dtype).eps)
    images: list[Any] = []
    found, checked = np.zeros(count), 0
    while True:
        block = block[:, : most - basis.shape[1]]
        rest = block - basis @ (basis.T @ block)
        complete = bool(library.linalg.norm(rest) <= rounding * library.linalg.norm(block))
        if not complete:
            block = library.linalg.qr(rest)[0]
            block = library.linalg.qr(block - basis @ (basis.T @ block))[0]  # again: rounding shows where little was left
            images.append(apply(block))
            basis = library.concatenate([basis, block], 1)
        size = basis.shape[1]
        complete = complete or size == most
        if complete or size >= max(2 * count, GROWTH * checked):
            latest = _leading(library.concatenate(images, 1), count)
            settled = np.abs(latest - found) <= tolerance * np.maximum(latest, 1e-3 * latest[0])
            if complete or (checked and settled.all()) or np.isnan(latest[0]):
                return latest
            found, checked = latest, size
        block = adjoint(images[-1])


def _leading(images: Any, count: int) -> Array:
    """The largest singular values, by way of float64; zeros where there are fewer, NaN if something is not finite."""
    wide = images.astype(np.float64) if isinstance(images, np.ndarray) else images.double()
    gram = wide.T @ wide
    if not bool(_library(gram).isfinite(gram).all()):
        return np.full(count, np.nan)
    values = _roots(_library(gram).linalg.eigvalsh(gram))[:count]
    return np.concatenate([values, np.zeros(count - len(values))])


def _matrix_values(matrix: Any) -> Array:
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return _roots(_library(matrix).linalg.eigvalsh(gram))


def _roots(squares: Any) -> Array:
    """Descending square roots of ascending eigenvalues, which rounding can make negative."""
    numbers = squares if isinstance(squares, np.ndarray) else squares.cpu().numpy()
    return np.asarray(np.sqrt(np.maximum(numbers, 0.0))[::-1])


def _library(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def _placed(device: str | None, dtype: Any, *arrays: Array) -> tuple[Any, list[Any]]:
    """numpy or torch, and the arrays as its own, on the device."""
    converted = [np.asarray(array, dtype=dtype) for array in arrays]
    if device is None:
        return np, converted
    import torch

    return torch, [torch.as_tensor(array, device=device) for array in converted]
