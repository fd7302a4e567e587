"""The interval of a share that was counted."""

from __future__ import annotations

import math


def wilson(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927)."""
    if total == 0:
        return 0.0, 1.0
    share, square = right / total, z * z / total
    middle, half = share + square / 2, z * math.sqrt(share * (1 - share) / total + square / (4 * total))
    return max((middle - half) / (1 + square), 0.0), min((middle + half) / (1 + square), 1.0)
