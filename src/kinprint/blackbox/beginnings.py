"""Beginnings of texts, for models to go on with: where a text is cut is drawn from a fixed seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def beginnings(texts: Sequence[str]) -> list[str]:
    """Each text up to a word between its first and its third quarter, without the space behind; whole if it has one word."""
    rng = np.random.default_rng(len(texts))
    found = []
    for text in texts:
        words = text.split(" ")
        low, high = max(len(words) // 4, 1), max(3 * len(words) // 4, 1)
        found.append(" ".join(words[: int(rng.integers(low, high + 1))]))
    return found
