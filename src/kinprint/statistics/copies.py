"""Units that are not units: layers that are copies of each other, and units that are.

A copy is one fact, not two: layers of looped, stacked or depth-upscaled models share one relabelling under the null hypothesis,
and so do the channels, heads and neurons of cloned models, exact or changed a little since. Both are found by comparing a model
with itself: layer with layer by label, unit with unit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtri

from kinprint.arrays import Float64s, Int64s
from kinprint.statistics.neighbourhoods import Neighbours, without

BY_CHANCE = 0.1
"""Pairs of layers of a model that count as copies by chance. It costs such a pair the evidence of one layer."""

RESEMBLE = 0.3
"""Correlation by label below which two layers are not called copies, however sure it is: they hardly count twice."""

BLOCKS = 256
"""Blocks of units by which layers are compared."""

MANY = 32
"""Units from which what stands out among labels is taken out before layers are compared: fewer have too few directions."""

CLOSE = 1 - 1e-9
"""Correlations nearer to one count as this."""

FEWEST = 0.75
"""Share of the units that must be in groups of one size for a layout of clones to be believed."""

LEAST = 0.5
"""Correlation below which two units are not called clones, however many features say so."""

SOFT = 0.3
"""Share of the mean variance below which directions of the features count for less."""

CHANCE = 0.01
"""Pairs of units that may look like clones by chance, in the whole model."""

COLUMNS = 64
"""Features, over all layers, by which units are compared."""

QUERIES = 256
"""Units that are looked up first: clones come in such numbers that one of these has a copy."""


Ranked = Callable[[Float64s], Float64s]


def as_they_are(scores: Float64s) -> Float64s:
    """What is ranked already."""
    return scores


def agreements(scores: Float64s, freedom: int) -> tuple[Float64s, Float64s]:
    """(layers, layers) correlation of all pairs of layers by label, and its size in standard deviations under relabelling.

    Args:
        scores: (layers, units, features), every feature of mean zero, in every block where units are exchanged in blocks.
        freedom: units less the blocks.
    """
    layers = len(scores)
    flat = scores.reshape(layers, -1)
    inner = flat @ flat.T
    size = np.sqrt(np.maximum(np.diag(inner), 1e-300))
    covariances = (scores.swapaxes(1, 2) @ scores).reshape(layers, -1)
    spread = np.sqrt(np.maximum(covariances @ covariances.T, 1e-300) / max(freedom, 1))
    return inner / np.outer(size, size), inner / spread


def agreements_across(ours: Float64s, theirs: Float64s) -> Float64s:
    """(layers of one model, layers of another) how well units of equal labels agree, in standard deviations under relabelling.

    Args:
        ours, theirs: (layers, units, features) decorrelated scores; rows of NaN are no units.
    """
    both = np.nan_to_num(np.concatenate([ours, theirs]))
    both -= both.mean(axis=1, keepdims=True)
    return agreements(both, both.shape[1] - 1)[1][: len(ours), len(ours) :]


def linked_layers(
    scores: Float64s, most: int = BLOCKS, ranked: Ranked = as_they_are, neighbours: Neighbours | None = None
) -> Int64s:
    """(layers,) a number for every layer, the same for layers that are copies of each other, whatever order units stand in.

    Args:
        scores: (layers, units, features) normal scores, zero where nothing is known.
        most: blocks of units that are looked at.
        ranked: makes normal scores of what is looked at, if these are features.
        neighbours: which units these are, if they were chosen already.
    """
    if len(scores) < 2:
        return np.arange(len(scores))
    if neighbours is None:
        neighbours = Neighbours.of(scores.shape[1], most)
        scores = scores[:, neighbours.labels]
    left = without(_softened(np.nan_to_num(ranked(scores))), neighbours, seen=len(neighbours.labels) >= MANY)
    correlations, deviations = agreements(left, neighbours.freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        dimensions = np.where(correlations != 0, (deviations / correlations) ** 2, 0.0)
    certain = np.arctanh(np.clip(correlations, -CLOSE, CLOSE)) * np.sqrt(np.maximum(dimensions - 3, 0.5))  # Fisher's transform
    pairs = len(scores) * (len(scores) - 1) / 2
    return connected((certain > -ndtri(BY_CHANCE / max(pairs, 1))) & (correlations > RESEMBLE))


def connected(linked: NDArray[np.bool_]) -> Int64s:
    """(n,) a number for each of n things, the same for those joined by links (n, n)."""
    found: Int64s = connected_components(coo_array(np.triu(linked, 1)), directed=False)[1].astype(np.int64)
    return found


def clones(scores: Float64s, ranked: Ranked = as_they_are) -> Int64s | None:
    """(originals, copies) labels of the units that are copies of each other, ascending; None where units are no clones.

    Units are compared by their features in all layers at once. Believed is only a layout in which most units stand in groups of
    one size; units outside are left out.

    Args:
        scores: (layers, units, features) normal scores; NaN rows where there is no unit.
        ranked: makes normal scores of what is looked at, if these are features.
    """
    layers, units, width = scores.shape
    if units < 4:
        return None
    chosen = np.linspace(0, layers * width - 1, min(layers * width, COLUMNS)).astype(int)
    vectors = np.nan_to_num(ranked(scores[chosen // width, :, chosen % width].T[None])[0])
    vectors = _softened(vectors - vectors.mean(axis=0))
    size = np.linalg.norm(vectors, axis=1)
    there = np.flatnonzero(size > 1e-9)
    if len(there) < 4:
        return None
    vectors = (vectors[there] / size[there, None]).astype(np.float32)
    threshold = _threshold(vectors)
    if not _any_alike(vectors, threshold):
        return None
    rows, columns = _alike(vectors, threshold)
    labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(there),) * 2))[1]
    counts = np.bincount(labels)
    sizes = np.bincount(counts, weights=counts)  # units in groups of each size
    best = int(np.argmax(sizes))
    if best < 2 or sizes[best] < FEWEST * len(there):
        return None
    order = np.argsort(labels, kind="stable")
    kept = order[np.isin(labels[order], np.flatnonzero(counts == best))]
    groups = np.sort(there[kept].reshape(-1, best), axis=1)
    return np.asarray(groups[np.argsort(groups[:, 0])], dtype=np.int64)


def _softened(scores: Float64s) -> Float64s:
    """(..., features) with what features have in common scaled down, and what hardly varies left small.

    Copies that were changed a little differ little in every direction in which originals differ much; full decorrelation would
    enlarge the directions in which they differ by that change alone.
    """
    flat = scores.reshape(-1, scores.shape[-1])
    values, vectors = np.linalg.eigh(flat.T @ flat / max(len(flat), 1))
    values = np.maximum(values, 0.0) + SOFT * max(float(values.mean()), 1e-300)
    return np.asarray(scores @ (vectors / np.sqrt(values)))


def _threshold(vectors: NDArray[np.float32]) -> float:
    """Correlation that hardly any pair of different units reaches, by Fisher's transform on the dimensions that count."""
    units = len(vectors)
    inner = vectors.T.astype(np.float64) @ vectors
    dimensions = np.trace(inner) ** 2 / max(float((inner**2).sum()), 1e-300)
    deviations = -ndtri(CHANCE / (units * (units - 1) / 2))
    return max(float(np.tanh(deviations / np.sqrt(max(dimensions - 3, 0.1)))), LEAST)


def _any_alike(vectors: NDArray[np.float32], threshold: float) -> bool:
    """Whether one of a few units has a copy."""
    few = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), QUERIES)).astype(int))
    similar = vectors[few] @ vectors.T
    similar[np.arange(len(few)), few] = -1
    return bool(2 * np.count_nonzero(similar.max(axis=1) > threshold) >= FEWEST * len(few))


def _alike(vectors: NDArray[np.float32], threshold: float) -> tuple[Int64s, Int64s]:
    """All pairs of units that are copies, each once."""
    rows, columns = [], []
    for start in range(0, len(vectors), 1024):
        similar = vectors[start : start + 1024] @ vectors[start:].T
        here, there = np.nonzero(np.triu(similar > threshold, 1))
        rows.append(here + start)
        columns.append(there + start)
    return np.concatenate(rows), np.concatenate(columns)
