"""Small tables are assigned as scipy assigns them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from kinprint.matching import assignment
from kinprint.matching.assignment import assignments


@pytest.mark.parametrize("few", [0, 4096])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 13])
def test_least_sum(n: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "FEW", few)
    tables = np.random.default_rng(n).standard_normal((200, n, n))
    tables[:5, 0] = 1e12  # a unit that is not there is far from all
    found = assignments(tables)
    for table, columns in zip(tables, found, strict=True):
        assert sorted(columns) == list(range(n))
        rows, best = linear_sum_assignment(table)
        assert np.isclose(table[np.arange(n), columns].sum(), table[rows, best].sum())


def test_no_tables() -> None:
    assert assignments(np.zeros((0, 4, 4))).shape == (0, 4)
