"""Singular values of heads, products and matrices against dense decompositions."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.fingerprints import spectra
from kinprint.fingerprints.traits.heads import product_spectra

HIDDEN = 96
SHAPES = {
    "gqa": (8, 2, 8),
    "mha": (4, 4, 16),
    "full rank": (4, 4, 24),
    "single head": (1, 1, 12),
    "wider than hidden": (8, 8, 16),
}


def dense(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float64 values of the formed product that need not be zero."""
    return np.linalg.svd(left.T @ right, compute_uv=False)[: min(*left.shape, *right.shape)]


def assert_agree(found: np.ndarray, exact: np.ndarray, rtol: float = 1e-5) -> None:
    """Relative agreement on every value above 1e-3 of the largest, and nothing large where the others are."""
    assert found.shape == exact.shape
    assert (np.diff(found) <= 0).all()
    large = exact > 1e-3 * exact[0]
    np.testing.assert_allclose(found[large], exact[large], rtol=rtol)
    assert (found[~large] < 1.01e-3 * exact[0]).all()


def layer(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Q with the heads of each group added up, and K: factors whose product is that of the repeated K with Q."""
    heads, groups, width = SHAPES[kind]
    q, k = rng.normal(size=(heads, width, HIDDEN)), rng.normal(size=(groups, width, HIDDEN))
    left = q.reshape(groups, heads // groups, width, HIDDEN).sum(1).reshape(-1, HIDDEN)
    repeated = np.repeat(k, heads // groups, axis=0).reshape(-1, HIDDEN)
    np.testing.assert_allclose(left.T @ k.reshape(-1, HIDDEN), q.reshape(-1, HIDDEN).T @ repeated)
    return left, k.reshape(-1, HIDDEN)


def zeroed(matrix: np.ndarray, row: int) -> np.ndarray:
    return np.where(np.arange(len(matrix))[:, None] == row, 0, matrix)


CHANNELS, SCALES = np.logspace(0, -3, HIDDEN), np.logspace(6, -6, 128)[:, None]
CONDITIONS = {
    "plain": lambda a, b: (a, b),
    "rows of very different length": lambda a, b: (a * SCALES[: len(a)], b),
    "rows of one scaled against the other": lambda a, b: (a * SCALES[: len(a)], b / SCALES[: len(a)]),
    "massive channels": lambda a, b: (a * CHANNELS, b * CHANNELS),
    "dependent rows": lambda a, b: (np.where(np.arange(len(a))[:, None] % 3, a, a[:1]), b),
    "zero rows": lambda a, b: (zeroed(a, 1), zeroed(b, 2)),
}


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", SHAPES)
def test_products_against_dense_svd(kind: str, condition: str, device: str | None) -> None:
    if device:
        pytest.importorskip("torch")
    left, right = CONDITIONS[condition](*layer(kind, np.random.default_rng(0)))
    exact = dense(left, right)
    assert_agree(spectra.product_values(left, right, device=device), exact)
    assert_agree(spectra.gram_values(left @ left.T, right @ right.T)[: len(exact)], exact)


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (64, 64)])
def test_matrices_against_dense_svd(shape: tuple[int, int], device: str | None) -> None:
    if device:
        pytest.importorskip("torch")
    matrix = np.random.default_rng(1).normal(size=shape) * np.logspace(0, -5, shape[1])
    assert_agree(spectra.matrix_values(matrix, device=device), np.linalg.svd(matrix, compute_uv=False))


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("decay", [0.0, 0.7, 1.5])
def test_leading_values_against_dense_svd(decay: float, device: str | None) -> None:
    """A flat spectrum, the hardest, and two that fall off; float64 to the tolerance, float32 to its own precision."""
    if device:
        pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(2, 500, 600))
    right *= np.arange(1, 501)[:, None] ** -decay
    exact = dense(left, right)[:60]
    assert_agree(spectra.leading_values(left, right, 60, device=device), exact)
    single = spectra.leading_values(left.astype(np.float32), right.astype(np.float32), 60, device=device)
    np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-6 * exact[0])


@pytest.mark.parametrize("device", [None, "cpu"])
def test_leading_values_of_low_rank_and_of_nothing(device: str | None) -> None:
    """Values beyond the rank are zero, within rounding; those of zero matrices too. Many values of a small matrix are exact."""
    if device:
        pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=(2, 400, 300))
    left[7:] = 0
    exact = dense(left, right)[:40]
    assert_agree(spectra.leading_values(left, right, 40, device=device), exact)
    assert (spectra.leading_values(0 * left, right, 40, device=device) == 0).all()
    assert_agree(spectra.leading_values(left, right, 290, device=device), dense(left, right)[:290])


def test_values_that_are_not_finite_are_missing() -> None:
    rng = np.random.default_rng(4)
    left, right = rng.normal(size=(2, 400, 300)).astype(np.float32)
    left[5, 5] = np.nan
    with np.errstate(all="ignore"):
        assert np.isnan(spectra.leading_values(left, right, 20)).all()


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (6, 2), (5, 1)])
def test_heads_against_dense_svd(heads: int, groups: int) -> None:
    """1e-5 relative on every value above 1e-3 of the largest (float64 dense SVD of the formed product)."""
    rng = np.random.default_rng(0)
    width, hidden = 8, 40
    scale = np.logspace(0, -3, width)[:, None]
    q = rng.normal(size=(heads, width, hidden)) * scale
    k = rng.normal(size=(groups, width, hidden))
    found = product_spectra(q @ q.transpose(0, 2, 1), k @ k.transpose(0, 2, 1))
    for head in range(heads):
        assert_agree(found[head], dense(q[head], k[head * groups // heads]))


def test_dependent_rows_and_zero_heads() -> None:
    rng = np.random.default_rng(1)
    q = rng.normal(size=(2, 4, 20))
    q[0, 3] = q[0, 2]
    q[1] = 0
    k = rng.normal(size=(2, 4, 20))
    found = product_spectra(q @ q.transpose(0, 2, 1), k @ k.transpose(0, 2, 1))
    exact = np.linalg.svd(q[0].T @ k[0], compute_uv=False)[:4]
    np.testing.assert_allclose(found[0][:3], exact[:3], rtol=1e-6)
    assert found[0][3] < 1e-6 * exact[0]
    assert (found[1] == 0).all()
