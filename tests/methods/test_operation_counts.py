"""What comparisons compute, counted: a guard against work that nobody uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from kinprint.matching import nearest
from kinprint.methods._by_index import test_by_order as by_order
from kinprint.statistics import exchangeability

BLOCK = 8


@pytest.fixture
def distances(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many distances each call of the kernels worked out."""
    counted: list[int] = []

    def counting(kernel: Callable[..., None], inner: np.ndarray, *others: object) -> None:
        counted.append(inner.size)
        kernel(inner, *others)

    for name in ("_update", "_enter_rows"):
        monkeypatch.setattr(nearest, name, partial(counting, getattr(nearest, name)))
    return counted


def test_where_widths_differ_only_units_in_blocks_are_matched(monkeypatch: pytest.MonkeyPatch, distances: list[int]) -> None:
    layers, widths, blocks = (12, 8), (1024, 512), 10
    pairs = (layers[0] - layers[1] + 1) * layers[1]
    monkeypatch.setattr(exchangeability, "BUDGET", pairs * blocks)
    chance = np.random.default_rng(0)
    by_order(*(chance.standard_normal((depth, width, 3)) for depth, width in zip(layers, widths, strict=True)))
    assert 0 < sum(distances) <= pairs * blocks * BLOCK * sum(widths)


def test_each_distance_is_worked_out_once(distances: list[int]) -> None:
    chance = np.random.default_rng(0)
    nearest.nearest(chance.standard_normal((900, 5)), chance.standard_normal((700, 5)))
    assert sum(distances) == 900 * 700
