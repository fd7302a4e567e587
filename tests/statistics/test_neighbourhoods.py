"""Blocks of neighbours, and what labels may mean inside them."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.statistics.neighbourhoods import (
    BLOCK,
    WINDOW,
    Neighbours,
    _centred,
    _orthonormal_steps,
    _step_squares,
    blocks,
    orders,
    without,
)


@pytest.mark.parametrize("count", [64, 65, 150, 1000])
def test_blocks_hold_neighbours_of_equal_parity(count: int) -> None:
    """All labels of a block lie in one window and have one parity."""
    for block in blocks(count):
        labels = block[block >= 0]
        assert labels.max() - labels.min() < WINDOW
        assert len(set((labels - labels.min()) % 2)) == 1


def test_few_units_are_runs_of_neighbours() -> None:
    assert blocks(12).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert blocks(BLOCK).shape == (1, BLOCK)
    assert blocks(0).shape == (0, 1)


@pytest.mark.parametrize("count", [8, 40, 200])
def test_orders_are_orthonormal_and_centred_in_every_block(count: int) -> None:
    grid = blocks(count)
    basis = orders(Neighbours.of(count, 1000))
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-9)
    for block in grid:
        np.testing.assert_allclose(basis[block[block >= 0]].sum(axis=0), 0, atol=1e-9)


HABITS = {
    "sorted": lambda n: np.linspace(-2, 2, n),
    "alternating": lambda n: np.where(np.arange(n) % 2, 1.0, -1.0),
    "period of four": lambda n: np.where(np.arange(n) % 4, -0.5, 1.5),
    "a step that a block straddles": lambda n: np.where(np.arange(n) < n * 0.37, 1.0, -1.0),
}


@pytest.mark.parametrize("habit", HABITS, ids=lambda name: name.replace(" ", "-"))
def test_what_two_strangers_share_by_habit_goes(habit: str) -> None:
    """H0 with a habit: after `without` one stranger has almost nothing of what labels mean in the other."""
    rng, count = np.random.default_rng(1), 200
    profile = HABITS[habit](count)[:, None]
    x = 0.5 * rng.normal(size=(6, count, 4)) + profile
    found = without(x, Neighbours.of(count, 1000))
    kept = np.einsum("lnf,nf->l", found, np.broadcast_to(profile, (count, 4)))
    assert abs(kept.sum()) < 0.005 * 6 * 4 * (profile**2).sum()


def test_hardly_anything_of_random_labels_goes() -> None:
    """Without a habit at most a tenth of the evidence inside blocks is given up."""
    rng, count = np.random.default_rng(2), 512
    x = rng.normal(size=(8, count, 6))
    centred = without(x, Neighbours.of(count, 1000), seen=False)
    assert (without(x, Neighbours.of(count, 1000)) ** 2).sum() > 0.9 * (x**2).sum() * (count - len(blocks(count))) / count
    assert (centred**2).sum() > 0.95 * (x**2).sum() * (count - len(blocks(count))) / count


@pytest.mark.parametrize("present", [1.0, 0.6])
@pytest.mark.parametrize("count", [20, 64, 300])
def test_steps_are_taken_out_as_if_all_were_made_orthogonal(count: int, present: float) -> None:
    """Any steps, several in a window, also where blocks have lost units and some have one only."""
    rng = np.random.default_rng(count)
    neighbours = Neighbours.of(count, 1000)
    neighbours = neighbours.present(rng.random(len(neighbours.labels)) < present)
    labels = np.arange(len(neighbours.labels))
    squares = _step_squares(neighbours.grid)
    window = np.cumsum(squares <= 1e-9) - (squares <= 1e-9)
    chosen = labels[(squares > 1e-9) & (rng.random(len(labels)) < 0.4)]
    basis = _orthonormal_steps(neighbours.grid, window, chosen)
    steps = _centred((labels[:, None] <= chosen).astype(float), neighbours.grid)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-9)
    np.testing.assert_allclose(basis @ (basis.T @ steps), steps, atol=1e-9)
    assert basis.shape[1] == np.linalg.matrix_rank(steps)


@pytest.mark.parametrize("present", [1.0, 0.6])
def test_what_is_centred_has_no_mean_in_any_block(present: float) -> None:
    rng = np.random.default_rng(3)
    neighbours = Neighbours.of(100, 1000)
    grid = neighbours.present(rng.random(100) < present).grid[1:]  # the first block's labels are in none
    labels = int(grid.max()) + 1
    values = rng.normal(size=(2, labels, 3))
    found = _centred(values, grid)
    inside = np.zeros(labels, dtype=bool)
    for block in grid:
        own = block[block >= 0]
        inside[own] = True
        np.testing.assert_allclose(found[:, own], values[:, own] - values[:, own].mean(axis=1, keepdims=True))
    assert not found[:, ~inside].any()


def test_only_the_given_side_changes() -> None:
    """What is taken out does not depend on the order of the other features: the same features give the same result."""
    x = np.random.default_rng(3).normal(size=(3, 100, 2))
    np.testing.assert_array_equal(without(x, Neighbours.of(100, 1000)), without(x.copy(), Neighbours.of(100, 1000)))


def test_an_even_subset_of_blocks_keeps_its_labels() -> None:
    """Of many blocks some are looked at: labels ascend, blocks hold neighbours still."""
    found = Neighbours.of(10_000, 50)
    assert found.grid.shape == (50, BLOCK)
    assert (np.diff(found.labels) > 0).all()
    assert (np.ptp(found.labels[found.grid], axis=1) < WINDOW).all()
