"""What stands out of random entries, against matrices of which both parts are known."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.arrays import Float64s
from kinprint.statistics.spikes import Spikes, kept

SHAPES = [(48, 96), (96, 96), (96, 288), (200, 64)]


def noise(shape: tuple[int, int], seed: int) -> Float64s:
    return np.random.default_rng(seed).standard_normal(shape)


def added(shape: tuple[int, int], seed: int, directions: int = 2) -> Float64s:
    """Directions that stand out of noise of size 1, three and four times as far as noise goes."""
    left, right = (np.linalg.qr(noise((side, directions), seed + place))[0] for place, side in enumerate(shape))
    return (left * np.linspace(3, 4, directions) * np.sqrt(max(shape))) @ right.T


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_stands_out_of_noise(shape: tuple[int, int]) -> None:
    found = [Spikes.of(0.02 * noise(shape, seed)) for seed in range(10)]
    assert sum(int((each.added > 0).sum()) for each in found) <= 1
    assert np.mean([each.noise for each in found]) == pytest.approx(0.02, rel=0.04)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_added_is_found_with_its_size(shape: tuple[int, int]) -> None:
    matrix = added(shape, 5)
    found = Spikes.of(noise(shape, 3) + matrix)
    out = found.added > 0
    assert out.sum() == 2
    inside = np.einsum("ik,ij,jk->k", found.u[:, out], matrix, found.v[:, out])
    assert found.added[out] == pytest.approx(inside, rel=0.15)


def of_one_start(shape: tuple[int, int], number: int, *, descends: bool) -> tuple[Spikes, Spikes]:
    """Two matrices of one start, which the second has four fifths of: trained apart, or the second from the first."""
    start, first, second = noise(shape, number), added(shape, number + 100), added(shape, number + 200)
    return Spikes.of(start + first), Spikes.of(0.8 * (start + first if descends else start) + second)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("descends", [True, False])
def test_a_descendant_keeps_what_was_added_and_a_twin_of_the_start_does_not(shape: tuple[int, int], descends: bool) -> None:
    found = kept(of_one_start(shape, number, descends=descends) for number in range(0, 5000, 500))
    assert found is not None
    there, back = found
    assert there.bulk == pytest.approx(0.8, rel=0.06)
    assert back.bulk == pytest.approx(1 / 0.8, rel=0.06)
    assert float(np.mean(there.added)) == pytest.approx(float(descends), abs=0.08)
    assert there.of_most(0.75) < there.of_most(0.5) < there.of_most(0.25)


def test_matrices_without_a_common_start_are_left_out() -> None:
    assert kept((Spikes.of(noise((96, 96), seed)), Spikes.of(noise((96, 96), seed + 50))) for seed in range(10)) is None
