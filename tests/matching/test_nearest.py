"""Units nearest to each other both ways are those that a table of all distances shows."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.matching.nearest import closest, distances, mutual, nearest, nearest_of, partners

SIZES = ((5, 7, 3), (1, 4, 2), (4, 1, 2), (2, 2, 2), (300, 200, 5), (700, 1100, 20))


def drawn(ours: int, theirs: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Features with units that are not there, and with some that are equal."""
    chance = np.random.default_rng(ours + theirs)
    x, y = chance.standard_normal((ours, features)), chance.standard_normal((theirs, features))
    if ours > 100:
        x[0], y[3], y[9], x[50:60] = np.nan, np.nan, np.inf, x[40:50]
    return x, y


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("size", SIZES)
def test_both_ways(size: tuple[int, int, int]) -> None:
    x, y = drawn(*size)
    table = distances(x, y)
    left, right, margin = nearest(x, y)
    wanted = mutual(table)
    assert np.array_equal(left, wanted[0])
    assert np.array_equal(right, wanted[1])
    if min(table.shape) > 1:
        seconds = [np.sort(rows, axis=1)[:, 1] - rows.min(axis=1) for rows in (table[left], table[:, right].T)]
        expected = np.minimum(*seconds)
        assert np.allclose(margin, np.minimum(expected, np.quantile(expected, 0.9)), atol=2e-5)
    else:
        assert not margin.any()
    assert np.allclose(closest(x, y)[0].distance, table.min(axis=1), atol=2e-5)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("every", [1, 3])
def test_partners_of_some_are_those_that_all_have(size: tuple[int, int, int], every: int) -> None:
    x, y = drawn(*size)
    left, right = mutual(distances(x, y))
    wanted = np.full(len(y), -1)
    wanted[right] = left
    asked = np.arange(0, len(y), every)
    assert np.array_equal(partners(x, y, asked)[asked], wanted[asked])


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("size", SIZES)
def test_one_way_is_as_both_ways_say(size: tuple[int, int, int]) -> None:
    x, y = drawn(*size)
    which, distance = nearest_of(x, y)
    both = closest(x, y)[0]
    assert np.array_equal(which, both.which)
    assert np.allclose(distance, both.distance, atol=2e-5)


def test_nobody_is_nearest_to_nobody() -> None:
    nobody, some = np.zeros((0, 3)), np.ones((4, 3))
    assert [len(part) for part in nearest(nobody, some)] == [0, 0, 0]
    assert [len(part) for part in nearest(some, nobody)] == [0, 0, 0]
    assert (partners(nobody, some) == -1).all()
    ours, theirs = closest(some, nobody)
    assert np.isinf(ours.distance).all()
    assert len(theirs.which) == 0


def test_of_units_equally_near_the_first_is_nearest() -> None:
    x, y = np.zeros((3, 2)), np.zeros((200, 2))
    ours, theirs = closest(x, y)
    assert not ours.which.any()
    assert not theirs.which.any()
    assert not ours.second.any()
