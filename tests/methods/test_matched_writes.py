"""The regression of `matched-writes`, and what it takes for copies, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.methods import matched_writes


@pytest.mark.parametrize("n", [3, 4, 5, 8, 100, 257])
def test_the_median_of_distances_is_that_of_the_whole_table(n: int) -> None:
    points = np.random.default_rng(n).normal(size=(n, 4))
    table = ((points[:, None] - points) ** 2).sum(axis=-1)
    assert matched_writes._median(table) == np.median(table)


@pytest.mark.parametrize("n", [3, 40, 300])
def test_what_reading_leaves_is_kernel_ridge_regression(n: int) -> None:
    """y - K (K + r)^-1 y of centred y, every column of unit variance, and zero for a neuron that is not there."""
    rng = np.random.default_rng(n)
    reads, writes = rng.normal(size=(n + 1, 6)), rng.normal(size=(n + 1, 4))
    reads[1] = np.nan
    x, y = np.delete(reads, 1, axis=0), np.delete(writes, 1, axis=0)
    apart = ((x[:, None] - x) ** 2).sum(axis=-1)
    centring = np.eye(n) - 1 / n
    kernel = centring @ (x @ x.T / x.shape[1] + 2 * np.exp(-apart / np.median(apart))) @ centring
    ridge = 0.02 * np.trace(kernel) / n
    expected = centring @ y - kernel @ np.linalg.solve(kernel + ridge * np.eye(n), centring @ y)
    found = matched_writes.unexplained(reads, writes)
    assert not found[1].any()
    np.testing.assert_allclose(np.delete(found, 1, axis=0), expected / expected.std(axis=0), atol=1e-8)


def test_neurons_that_read_alike_leave_what_they_write() -> None:
    writes = np.random.default_rng(0).normal(size=(20, 4))
    found = matched_writes.unexplained(np.ones((20, 6)), writes)
    np.testing.assert_allclose(found, (writes - writes.mean(axis=0)) / writes.std(axis=0))


def test_the_later_of_near_copies_is_left_out() -> None:
    rng = np.random.default_rng(1)
    reads, writes = rng.normal(size=(2, 50, 6)), rng.normal(size=(2, 50, 4))
    reads[0, 30], writes[0, 30] = reads[0, 7] + 1e-3, writes[0, 7]
    reads[1, 5] = np.nan
    kept = matched_writes.Side(reads, writes).without_clones()
    gone = np.argwhere(~np.isfinite(kept.reads).all(axis=-1)).tolist()
    assert gone == [[0, 30], [1, 5]]
    assert np.isnan(kept.writes[0, 30]).all()
