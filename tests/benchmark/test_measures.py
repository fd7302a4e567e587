"""The figures, against counting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.benchmark.measures import above_all, auc, reaching, roc, uniformity

values = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)
with_gaps = st.lists(st.none() | st.integers(-5, 5).map(float), min_size=1, max_size=12)


@given(values, values)
def test_auc_is_the_chance_of_a_larger_value(related: list[float], unrelated: list[float]) -> None:
    wins = sum((a > b) + 0.5 * (a == b) for a, b in product(related, unrelated))
    assert auc(related, unrelated) == pytest.approx(wins / (len(related) * len(unrelated)))


def test_auc_knows_infinity_and_absence() -> None:
    assert auc([np.inf, 3.0], [1.0, 2.0]) == 1
    assert auc([], [1.0]) is None
    assert auc([1.0], []) is None


@given(with_gaps, with_gaps)
def test_found_at_zero_false_accusations(related: list[float | None], unrelated: list[float | None]) -> None:
    known = [value for value in unrelated if value is not None]
    found = above_all(related, unrelated)
    if not known:
        assert found is None
    else:
        assert found == (sum(all(v > u for u in known) for v in related if v is not None), len(related))


def test_a_tie_with_an_unrelated_pair_is_not_found() -> None:
    assert above_all([2.0, 3.0, None], [2.0, 1.0]) == (1, 3)


def test_reaching_counts_equal_values_and_everyone() -> None:
    assert reaching([1.0, 2.0, None], 2.0) == (1, 3)


@given(with_gaps, with_gaps)
def test_roc(related: list[float | None], unrelated: list[float | None]) -> None:
    """Every point is the two shares at one threshold; without gaps the area is the AUC."""
    points = roc(related, unrelated)
    assert points[0] == (0, 0)
    assert points == sorted(points)
    levels = sorted({v for v in [*related, *unrelated] if v is not None}, reverse=True)
    for (x, y), level in zip(points[1:], levels, strict=True):
        assert (x, y) == tuple(np.divide(*reaching(values, level)) for values in (unrelated, related))
    if None not in related and None not in unrelated:
        area = np.trapezoid([y for _, y in points], [x for x, _ in points])
        assert area == pytest.approx(auc(related, unrelated))  # type: ignore[arg-type]


def test_uniformity() -> None:
    even = ((np.arange(200) + 0.5) / 200).tolist()
    assert uniformity(even) == pytest.approx(1)
    assert uniformity([p**2 for p in even]) < 1e-6  # type: ignore[operator]
    assert uniformity([0.5]) is None
