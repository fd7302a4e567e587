"""Heads that were split in two read alike and write in one direction: they are one unit, which writes as much as both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.statistics import RelabellingGroup

SAME = 1e-3
"""Root mean square by which logs of singular values of twins may differ: rounding to bfloat16 makes less than half of it."""

FLOOR = 1e-2
"""Singular values below this share of the largest are rounding, and not compared."""


def joined(queries: NDArray[np.floating], values: NDArray[np.floating], units: RelabellingGroup) -> tuple[Float64s, Float64s]:
    """Spectra (layers, heads, rank) in which the first of groups that are twins has the values of all, and the others are NaN.

    Args:
        queries, values: singular values of each head's query-key and value-output products, descending; a head that does
            nothing has zeros.
        units: groups of heads that share keys and values.
    """
    shape = (len(queries), units.groups, units.members, -1)
    qk, vo = (np.array(side, dtype=np.float64).reshape(shape) for side in (queries, values))
    order = np.argsort(qk[..., :1], axis=2, kind="stable")  # members of a group have no order of their own
    with np.errstate(all="ignore"):
        shapes = [np.take_along_axis(side, order, axis=2) for side in (qk, vo / vo[..., :1])]
        logs = [np.where((side > 0) & (side >= FLOOR * side[..., :1]), np.log(side), np.nan) for side in shapes]
    for layer in range(len(qk)):
        for twin in range(1, units.groups):
            same = _same(logs[0][layer, :twin], logs[0][layer, twin]) & _same(logs[1][layer, :twin], logs[1][layer, twin])
            if same.any():
                first = int(np.argmax(same))
                vo[layer, first, order[layer, first, :, 0]] += vo[layer, twin, order[layer, twin, :, 0]]
                qk[layer, twin] = vo[layer, twin] = np.nan
                logs[0][layer, twin] = logs[1][layer, twin] = np.nan
    return qk.reshape(queries.shape), vo.reshape(values.shape)


def _same(others: Float64s, one: Float64s) -> NDArray[np.bool_]:
    """(groups,) whether logs (groups, members, rank) are those of one group, as far as both are known."""
    squares = (others - one) ** 2
    known = np.isfinite(squares)
    counted = known.sum(axis=(1, 2))
    total = np.where(known, squares, 0.0).sum(axis=(1, 2))
    return np.asarray((counted > 0) & (total <= SAME**2 * counted))
