"""Ranks, as scipy.stats.rankdata gives them; to load scipy.stats takes half a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s


def mean_ranks(values: NDArray[np.floating]) -> Float64s:
    """(layers, units, features) -> ranks from 1 over the units of each layer, float64; ties share their mean rank.

    Args:
        values: none of them NaN.
    """
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    place = np.arange(values.shape[1])[None, :, None]
    starts = np.ones(values.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.roll(starts, -1, axis=1)
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, values.shape[1])[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=1)
    return ranks
