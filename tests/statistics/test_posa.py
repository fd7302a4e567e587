"""POSA against every monotone alignment there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kinprint.statistics.posa import align


def cheapest(distances: np.ndarray) -> float:
    """Least total of paired distances and gap penalties over all alignments, written out."""
    rows, columns = distances.shape
    gap = np.median(distances)
    return min(
        sum(distances[i, j] for i, j in zip(chosen, others, strict=True)) + gap * (rows + columns - 2 * size)
        for size in range(min(rows, columns) + 1)
        for chosen in itertools.combinations(range(rows), size)
        for others in itertools.combinations(range(columns), size)
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 3), (4, 6), (5, 5)])
def test_against_every_alignment(shape: tuple[int, int]) -> None:
    for seed in range(20):
        distances = np.random.default_rng(seed).exponential(size=shape) ** 2
        found = align(distances)
        rows, columns = zip(*found.pairs, strict=True) if found.pairs else ((), ())
        assert list(rows) == sorted(set(rows))
        assert list(columns) == sorted(set(columns))
        gap, shallower = np.median(distances), min(shape)
        unavoidable = gap * abs(shape[0] - shape[1])
        total = sum(distances[pair] for pair in found.pairs) + gap * (sum(shape) - 2 * len(found.pairs))
        assert total == pytest.approx(cheapest(distances))
        once = gap * (shallower - len(found.pairs))  # what each layer left out on the shallower side costs, other side apart
        assert found.cost == pytest.approx((total - unavoidable - once) / shallower)


def test_dropped_and_added_layers_are_found() -> None:
    """Layers 2 and 5 dropped: the rest keep their counterparts, in both directions; what had to be left out costs nothing."""
    layers = np.random.default_rng(0).normal(size=(8, 5))
    kept = [0, 1, 3, 4, 6, 7]
    distances = ((layers[:, None] - layers[kept]) ** 2).sum(2)
    assert align(distances) == (tuple((i, j) for j, i in enumerate(kept)), 0)
    assert align(distances.T) == (tuple((j, i) for j, i in enumerate(kept)), 0)


def test_a_layer_without_a_counterpart_is_left_out() -> None:
    layers = np.arange(10.0)[:, None]
    suspect = layers[:6].copy()
    suspect[3] = 1000
    distances = (layers - suspect.T) ** 2
    found = align(distances)
    assert 3 not in [j for _, j in found.pairs]
    assert found.cost == pytest.approx(np.median(distances) / 6)


def test_equal_distances_pair_everything() -> None:
    assert len(align(np.zeros((3, 5))).pairs) == 3
    assert len(align(np.ones((3, 5))).pairs) == 3
