"""Tests of random entries: their p-values under what initialisers draw, and what they see of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from kinprint.statistics.random_start import FAMILIES, concordance, largest_singular_value, ratio_p, ratios

Drawn = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Drawn]


def cut(limit: float) -> Draw:
    """The normal distribution cut at so many deviations."""
    return lambda rng, shape: np.asarray(stats.truncnorm(-limit, limit).rvs(shape, random_state=rng))


INITIALISERS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0, 0.02, shape),
    "uniform": lambda rng, shape: rng.uniform(-0.1, 0.1, shape),
    "normal cut at 2 deviations": cut(2.0),
    "normal cut at 3 deviations": cut(3.0),
}


def test_every_family_is_drawn_here() -> None:
    assert INITIALISERS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", INITIALISERS)
def test_ratios_have_uniform_p_values(family: str) -> None:
    """H0: entries are independent draws of the family. 600 matrices of different sizes of entries: p-values are uniform."""
    rng = np.random.default_rng(1)
    p = [
        10 ** ratio_p(np.concatenate([ratios(scale * INITIALISERS[family](rng, (256,))) for scale in (1.0, 0.1)]), family)
        for _ in range(600)
    ]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_another_family_is_told_apart() -> None:
    """Enough normal entries are not taken for uniform ones, nor the other way round."""
    rng = np.random.default_rng(2)
    normal, uniform = (ratios(INITIALISERS[family](rng, (8192,))) for family in ("normal", "uniform"))
    assert ratio_p(normal, "uniform") < -20
    assert ratio_p(uniform, "normal") < -20


def test_entries_of_different_size_are_no_draws_of_one_distribution() -> None:
    """Half the entries of a matrix three times as large as the others: no family fits."""
    rng = np.random.default_rng(3)
    mixed = ratios(rng.normal(size=8192) * rng.choice([1.0, 3.0], 8192))
    assert max(ratio_p(mixed, family) for family in FAMILIES) < -6


def test_zeros_are_no_draws() -> None:
    assert len(ratios(np.array([0.0, 1.0, 0.0, 2.0]))) == 1
    assert ratio_p(np.zeros(0), "normal") == 0


@pytest.mark.parametrize(("measurements", "units"), [(2, 64), (3, 256), (28, 64)])
def test_concordance_has_uniform_p_values(measurements: int, units: int) -> None:
    """H0: independent ranks. 800 tables: p-values are uniform, and not too small in the tail."""
    rng = np.random.default_rng(4)
    p = np.array([10 ** concordance(rng.exponential(size=(measurements, units))) for _ in range(800)])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert np.mean(p <= 0.01) <= 0.022


def test_concordance_sees_units_that_are_large_everywhere() -> None:
    rng = np.random.default_rng(5)
    assert concordance(rng.normal(size=(10, 100)) + rng.normal(size=100)) < -10


@pytest.mark.parametrize("family", INITIALISERS)
@pytest.mark.parametrize("shape", [(64, 64), (48, 192)])
def test_singular_values_have_p_values_that_hold(family: str, shape: tuple[int, int]) -> None:
    """H0: independent entries of one variance. Of 400 matrices no more have small p-values than their share, but for chance;
    of normal ones they are uniform."""
    rng = np.random.default_rng(6)
    p = np.array([10 ** largest_singular_value(INITIALISERS[family](rng, shape))[1] for _ in range(400)])
    assert np.mean(p <= 0.05) <= 0.085
    assert np.mean(p <= 0.5) <= 0.58
    assert p.min() > 1e-5
    if family == "normal":
        assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_a_direction_above_the_edge_is_seen() -> None:
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(100, 200))
    height, log10_p = largest_singular_value(matrix + 5 * np.outer(rng.normal(size=100), rng.normal(size=200)) / 10)
    assert height > 1.5
    assert log10_p < -50
