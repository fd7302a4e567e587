"""Permanents against their definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from kinprint.statistics.permanents import LANES, log_permanents, placements


def by_definition(matrix: np.ndarray) -> float:
    n = len(matrix)
    return sum(math.prod(matrix[i, p[i]] for i in range(n)) for p in itertools.permutations(range(n)))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_against_the_definition(n: int) -> None:
    """Equal to the sum over all permutations, whatever the scale of the entries."""
    logs = np.random.default_rng(n).normal(0, 5, (40, n, n))
    expected = [math.log(by_definition(np.exp(m - m.max()))) + n * m.max() for m in logs]
    np.testing.assert_allclose(log_permanents(logs), expected, rtol=1e-9, atol=1e-9)


def test_forbidden_pairs() -> None:
    """Entries of -inf are pairs that cannot occur."""
    only_identity = np.where(np.eye(4, dtype=bool), 1.5, -np.inf)
    empty_row = only_identity.copy()
    empty_row[2] = -np.inf
    np.testing.assert_allclose(log_permanents(np.stack([only_identity, empty_row])), [6.0, -np.inf])


def test_never_below_the_truth() -> None:
    """Where numbers underflow the result is larger than the truth, never smaller: p-values stay upper bounds."""
    logs = np.zeros((1, 3, 3))
    logs[0, :, 1:] = -800.0  # every permutation needs two entries of exp(-800)
    assert log_permanents(logs)[0] >= math.log(6) - 1600.0


@pytest.mark.parametrize("count", [1, LANES - 1, LANES, 2 * LANES + 3])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_side_by_side_as_one_by_one(n: int, count: int) -> None:
    """To the last bit what each matrix gives alone, some pairs being forbidden."""
    rng = np.random.default_rng(count)
    logs = np.where(rng.random((count, n, n)) < 0.1, -np.inf, rng.normal(0, 30, (count, n, n)))
    alone = [placements(matrix, n, np.empty((n, n)), np.empty(1 << n)) for matrix in logs]
    assert log_permanents(logs).tobytes() == np.array(alone).tobytes()
