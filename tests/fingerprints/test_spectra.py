"""Head spectra against dense singular value decompositions."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.fingerprints.families.heads import grams, product_spectra


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (6, 2), (5, 1)])
def test_against_dense_svd(heads: int, groups: int) -> None:
    """1e-5 relative on every value above 1e-3 of the largest (float64 dense SVD of the formed product)."""
    rng = np.random.default_rng(0)
    width, hidden = 8, 40
    scale = np.logspace(0, -3, width)[:, None]
    q = rng.normal(size=(heads, width, hidden)) * scale
    k = rng.normal(size=(groups, width, hidden))
    found = product_spectra(grams(q.reshape(-1, hidden), heads), grams(k.reshape(-1, hidden), groups))
    for head in range(heads):
        exact = np.linalg.svd(q[head].T @ k[head * groups // heads], compute_uv=False)[:width]
        large = exact > 1e-3 * exact[0]
        np.testing.assert_allclose(found[head][large], exact[large], rtol=1e-5)


def test_dependent_rows_and_zero_heads() -> None:
    rng = np.random.default_rng(1)
    q = rng.normal(size=(2, 4, 20))
    q[0, 3] = q[0, 2]
    q[1] = 0
    k = rng.normal(size=(2, 4, 20))
    found = product_spectra(grams(q.reshape(-1, 20), 2), grams(k.reshape(-1, 20), 2))
    exact = np.linalg.svd(q[0].T @ k[0], compute_uv=False)[:4]
    np.testing.assert_allclose(found[0][:3], exact[:3], rtol=1e-6)
    assert found[0][3] < 1e-6 * exact[0]
    assert (found[1] == 0).all()
