"""The interval of a share that was counted."""

from __future__ import annotations

import pytest

from kinprint.statistics import wilson


def test_known_values() -> None:
    """Of 20 of 20 at least 83.9 % are right; of nothing nothing is known; the interval is symmetric."""
    assert wilson(20, 20) == (pytest.approx(0.8389, abs=1e-4), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(3, 10) == pytest.approx([1 - end for end in reversed(wilson(7, 10))])
