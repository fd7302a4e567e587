"""What is read of a layer, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.architectures import Part
from kinprint.fingerprints import layer
from kinprint.fingerprints.layer import scanned


@pytest.mark.parametrize(("kept", "times"), [(1 << 10, [1, 1]), (300, [1, 2]), (0, [2, 2])])
def test_what_was_decoded_stays_in_memory_as_far_as_there_is_room(
    kept: int, times: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Families read a part again after the scan: of two parts of 256 bytes, as many are read once as fit."""
    monkeypatch.setattr(layer, "KEPT", kept)
    reads = [0, 0]

    def part(number: int) -> Part:
        def read() -> np.ndarray:
            reads[number] += 1
            return np.full((8, 8), number, np.float32)

        return Part("q", 0, None, ("?", "?"), (8, 8), np.dtype(np.float32), f"x{number}", read)

    for number, scan in enumerate(scanned([part(0), part(1)], lambda count: None)):
        assert (scan.part.read() == number).all()
    assert reads == times
