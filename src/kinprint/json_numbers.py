"""Numbers for JSON, which has no NaN and no infinity."""

from __future__ import annotations

import math


def finite(value: float | None) -> float | None:
    """The number as Python's float; None for NaN, infinity and None."""
    return None if value is None or not math.isfinite(value) else float(value)
