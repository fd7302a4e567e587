"""Copies inside one model: layers and units, exact and changed a little since."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.statistics.copies import clones, linked_layers


@pytest.mark.parametrize("units", [4, 12, 64, 256])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_repeated_layers_are_linked(units: int, noise: float) -> None:
    """Two layers stored six times each are two, whatever was added since; features of few units may say too little alone."""
    rng = np.random.default_rng(units)
    x = np.repeat(rng.normal(size=(2, units, 16)), 6, axis=0)
    x += noise * rng.normal(size=x.shape)
    assert linked_layers(x).tolist() == [0] * 6 + [1] * 6


def test_strangers_are_not_linked() -> None:
    """H0: independent layers. In 200 models of twelve layers one pair in some hundreds may be linked by chance."""
    rng = np.random.default_rng(0)
    linked = [12 - len(set(linked_layers(rng.normal(size=(12, 64, 6))).tolist())) for _ in range(200)]
    assert np.mean(linked) < 0.3


def test_sorted_layers_are_not_copies() -> None:
    """Layers whose units stand in one order agree by label, and are no copies."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, 256, 6))
    x[..., 0] = np.sort(x[..., 0], axis=1)
    x[..., 1] = np.sort(x[..., 1], axis=1)
    assert len(set(linked_layers(x).tolist())) == 8


@pytest.mark.parametrize("layout", ["tiled", "repeated", "scattered"])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_clones_are_found_wherever_they_stand(layout: str, noise: float) -> None:
    """Four copies of each unit, changed by a fifth: the groups of labels are those that were made."""
    rng = np.random.default_rng(2)
    originals = {"tiled": np.tile(np.arange(32), 4), "repeated": np.repeat(np.arange(32), 4)}
    of = originals.get(layout, rng.permutation(np.repeat(np.arange(32), 4)))
    x = rng.normal(size=(6, 32, 5))[:, of]
    groups = clones(x + noise * rng.normal(size=x.shape))
    assert groups is not None
    assert groups.shape == (32, 4)
    assert all(len(set(of[group])) == 1 for group in groups)


def test_strangers_are_no_clones() -> None:
    """H0: independent units: none of 200 models looks cloned."""
    rng = np.random.default_rng(3)
    assert not any(clones(rng.normal(size=(4, 64, 5))) is not None for _ in range(200))


def test_what_is_no_unit_is_no_clone() -> None:
    """Zero units are equal to each other, and are nothing."""
    x = np.random.default_rng(4).normal(size=(4, 64, 5))
    x[:, 32:] = np.nan
    assert clones(x) is None
