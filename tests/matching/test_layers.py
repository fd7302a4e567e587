"""Which pairs of layers are tested: each reference layer once, and copies of layers once."""

from __future__ import annotations

import numpy as np

from kinprint.matching.layers import once, pairwise


def test_copies_and_second_partners_are_left_out() -> None:
    """Suspect layers 0 and 1 have one partner, of which 1 fits better; reference layers 2 and 4 are copies."""
    asked: list[tuple[list[int], int]] = []

    def likeness(before: list[int] | tuple[int, ...], layer: int) -> list[float]:
        asked.append((list(before), layer))
        return [float((other, layer) == (2, 4)) for other in before]

    partners, fit = {0: 0, 1: 0, 2: 2, 3: 3, 4: 4}, {0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0, 4: 1.0}
    assert once(partners, fit, lambda among: pairwise(among, likeness) > 0.5) == {1: 0, 2: 2, 3: 3}
    assert asked == [([0], 2), ([0, 2], 3), ([0, 2, 3], 4)]


def test_of_one_layer_nothing_is_asked() -> None:
    assert once({5: 3}, {5: 0.0}, lambda among: np.zeros((len(among),) * 2, dtype=bool)) == {5: 3}
