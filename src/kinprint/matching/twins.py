"""Neurons that were split in two share everything but the size of what they write: they are one unit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kinprint.arrays import Float64s, Int64s

PRODUCT = 1
"""Column of `neurons.invariants` that holds the size of what a neuron writes."""

SAME: Mapping[int, float] = {0: 2e-4, 2: 0.015, 3: 0.015, 4: 0.015}
"""Columns that twins share, and how far rounding of their down columns to bfloat16 drives them apart, in standard deviations.
Gate rows of twins are equal bit for bit."""

NEIGHBOURS = 64
"""At most so many neighbours in the order of the first column are looked at."""


def joined(layers: Float64s) -> Float64s:
    """(layers, neurons, 5) invariants in which the largest of twins has the product of all, and the others are NaN."""
    invariants = np.array(layers, dtype=np.float64)
    for layer in invariants:
        for twins in groups(layer):
            kept = twins[np.argmax(layer[twins, PRODUCT])]
            product = np.logaddexp.reduce(layer[twins, PRODUCT])
            layer[twins] = np.where((twins == kept)[:, None], layer[twins], np.nan)
            layer[kept, PRODUCT] = product
    return invariants


def groups(layer: Float64s) -> list[NDArray[np.int64]]:
    """Neurons (neurons, 5) that are twins of each other, two or more; none where less than two columns tell them apart."""
    there = np.flatnonzero(np.isfinite(layer[:, PRODUCT]))
    columns = [column for column in SAME if np.isfinite(layer[there, column]).any()]
    there = there[np.isfinite(layer[there][:, columns]).all(axis=1)]
    if len(columns) < 2 or len(there) < 2:
        return []
    values = layer[there][:, columns]
    values = np.where(np.array(columns) > PRODUCT, np.abs(values), values)
    near = np.array([SAME[column] for column in columns]) * values.std(axis=0)
    order = np.argsort(values[:, 0])
    pairs = _pairs(values[order], near)
    if not len(pairs):
        return []
    graph = coo_array((np.ones(len(pairs)), (order[pairs[:, 0]], order[pairs[:, 1]])), shape=(len(there),) * 2)
    _, member = connected_components(graph, directed=False)
    sizes = np.bincount(member)
    return [there[member == group] for group in np.flatnonzero(sizes > 1)]


def _pairs(values: Float64s, near: Float64s) -> Int64s:
    """(pairs, 2) rows, sorted by their first column, that are near each other in all columns."""
    found = []
    for apart in range(1, min(NEIGHBOURS, len(values) - 1) + 1):
        first = np.flatnonzero(values[apart:, 0] - values[:-apart, 0] <= near[0])
        if not len(first):
            break  # and farther ones are no nearer
        alike = (np.abs(values[first + apart, 1:] - values[first, 1:]) <= near[1:]).all(axis=1)
        found.append(np.stack([first[alike], first[alike] + apart], axis=1))
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    return np.asarray(pairs[np.lexsort(pairs.T[::-1])])
