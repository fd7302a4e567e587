"""Which windows of a text a training reads, and when."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinprint.arrays import Int64s
from kinprint.zoo.families import Shape


def starts(tokens: int, shape: Shape, steps: int, order: int) -> Iterator[Int64s]:
    """(batch,) first tokens of the windows of each step; the same order gives the same windows.

    Windows are drawn independently and with replacement. So, given the windows, all orders of them are equally likely, although
    some overlap.

    Args:
        tokens: of the text.
        shape: batch and length of the windows.
        steps: of the training.
        order: seed.
    """
    rng = np.random.default_rng(order)
    for _ in range(steps):
        yield rng.integers(0, tokens - shape.length, shape.batch)


def steps_of(length: float, shape: Shape) -> int:
    """Optimiser steps of a training that is `length` times as long as that of a base."""
    return max(round(length * shape.steps), 1)
