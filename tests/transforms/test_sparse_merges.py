"""What merges with dropped entries leave of differences, by their papers."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.transforms._sparse_merges import SPARSE, breadcrumbs, dare, della, sce

RNG = np.random.default_rng(0)
ONE, OTHER = (RNG.normal(size=(64, 256)).astype(np.float32) for _ in range(2))


def test_dare_keeps_a_share_and_its_mean() -> None:
    kept = dare([ONE], [1.0], 0.25, np.random.default_rng(1))
    assert set(np.unique(np.round(kept[kept != 0] / ONE[kept != 0], 5))) == {4.0}
    assert np.mean(kept != 0) == pytest.approx(0.25, abs=0.02)


def test_della_keeps_large_entries_more_often() -> None:
    """By a tenth from the smallest of a row to the largest; every one divided by its chance."""
    kept = della([ONE], [1.0], 0.5, np.random.default_rng(2)) != 0
    ranks = np.argsort(np.argsort(np.abs(ONE), axis=1), axis=1)
    assert np.mean(kept[ranks < 128]) == pytest.approx(0.475, abs=0.02)
    assert np.mean(kept[ranks >= 128]) == pytest.approx(0.525, abs=0.02)


def test_breadcrumbs_drop_both_ends() -> None:
    kept = breadcrumbs([ONE], [0.5], 0.6, np.random.default_rng(3))
    sizes = np.abs(ONE[kept != 0])
    assert np.mean(kept != 0) == pytest.approx(0.6, abs=0.01)
    assert sizes.max() < np.quantile(np.abs(ONE), 0.995)
    assert sizes.min() > np.quantile(np.abs(ONE), 0.38)
    assert kept[kept != 0] == pytest.approx(0.5 * ONE[kept != 0])


def test_sce_weights_by_squares() -> None:
    """Of two models of which one differs from the base three times as much, in the entries of largest variance."""
    merged = sce([ONE, 3 * OTHER], [1.0, 1.0], 0.5, np.random.default_rng(4))
    both = (merged != 0) & (np.sign(ONE) == np.sign(OTHER))
    shares = np.array([np.mean(np.square(x) * (merged != 0)) for x in (ONE, 3 * OTHER)], np.float64)
    wanted = (shares[0] * ONE + shares[1] * 3 * OTHER) / shares.sum()
    assert np.mean(merged != 0) == pytest.approx(0.5, abs=0.01)
    assert merged[both] == pytest.approx(wanted[both], rel=1e-3)


@pytest.mark.parametrize("name", SPARSE)
def test_one_seed_gives_one_merge(name: str) -> None:
    first, again = (SPARSE[name]([ONE, OTHER], [0.6, 0.4], 0.5, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
