"""Blocks of units that may be exchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kinprint.statistics import RelabellingGroup
from kinprint.statistics.neighbourhoods import BLOCK


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 17, 71, 128, 4096])
def test_blocks_partition_the_units(count: int) -> None:
    """Every unit is in one block; blocks hold at most eight, and differ by one at most."""
    blocks = RelabellingGroup(count).outer()
    assert sorted(blocks[blocks >= 0].tolist()) == list(range(count))
    sizes = (blocks >= 0).sum(1)
    assert sizes.max() <= BLOCK
    assert sizes.max() - sizes.min() <= 1


def test_number_of_relabellings() -> None:
    """Whole groups among each other, times members inside each group."""
    assert RelabellingGroup(4, 3).log10_relabellings() == pytest.approx(math.log10(math.factorial(4) * math.factorial(3) ** 4))
    assert RelabellingGroup(16).log10_relabellings() == pytest.approx(2 * math.log10(math.factorial(8)))
    assert RelabellingGroup(1, 71).units == 71
    assert np.isclose(RelabellingGroup(1, 2).log10_relabellings(), math.log10(2))
