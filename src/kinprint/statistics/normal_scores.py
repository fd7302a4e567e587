"""Features of units made comparable between two models, without looking at the units' labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kinprint.arrays import Float64s, Int64s
from kinprint.compiled import compiled

RIDGE = 0.01
"""Added to the unit variance of every feature before whitening: directions with less than about 1 % of it are noise."""


def normal_scores(features: NDArray[np.floating]) -> Float64s:
    """Rank-normalise each feature over the units of its layer: scale, depth trend and outliers drop out.

    Args:
        features: (layers, units, features).

    Returns:
        (layers, units, features) float64. Ties share their mean rank. NaN (a quantity that a unit does not have) becomes
        zero, the middle, and counts for nothing; the others are ranked among themselves.
    """
    columns = np.array(np.moveaxis(features, 1, 2), order="C")  # a copy, which is written into
    absent = np.isnan(columns)
    columns[absent] = np.inf
    scores = np.empty(features.shape)
    if scores.size:
        known = columns.shape[-1] - absent.sum(axis=-1)
        counts, which = np.unique(known, return_inverse=True)
        _from_order(columns, np.argsort(columns, axis=-1), absent, known, which.reshape(known.shape), _by_rank(counts), scores)
    return scores


def _by_rank(counts: Int64s) -> Float64s:
    """(counts, 2 n + 1): for a feature that so many units have, the score of each rank, in halves since ties share one."""
    table = np.zeros((len(counts), 2 * int(counts.max()) + 1))
    for row, known in zip(table, counts, strict=True):
        ranks = np.arange(2 * known + 1) / 2
        row[: len(ranks)] = ndtri(np.minimum(ranks / (known + 1), max(known, 1) / (max(known, 1) + 1)))
    return table


@compiled()
def _from_order(
    columns: NDArray[np.floating],
    order: Int64s,
    absent: NDArray[np.bool_],
    known: Int64s,
    which: Int64s,
    by_rank: Float64s,
    scores: Float64s,
) -> None:
    """Fill scores (layers, units, features) from columns (layers, features, units) and the order of their units.

    Args:
        known: (layers, features) units that have the feature.
        which: (layers, features) row of `by_rank` for so many.
    """
    layers, features, units = columns.shape
    for layer in range(layers):
        for feature in range(features):
            values, places = columns[layer, feature], order[layer, feature]
            count, by = known[layer, feature], by_rank[which[layer, feature]]
            first = 0
            while first < units:
                last = first
                while last + 1 < units and values[places[last + 1]] == values[places[first]]:
                    last += 1
                score = by[min(first + last + 2, 2 * count)]
                for place in range(first, last + 1):
                    unit = places[place]
                    scores[layer, unit, feature] = 0.0 if absent[layer, feature, unit] else score
                first = last + 1


def whiten(scores: Float64s) -> Float64s:
    """Decorrelate the features (symmetric whitening, so feature f stays feature f), pooled over layers and units.

    Correlated features would count the same fact several times and hide the others. Whitening treats all units alike, so
    it is blind to labels and costs a test nothing of its validity. Rows of NaN, which are no units, stay as they are.
    """
    flat = np.nan_to_num(scores.reshape(-1, scores.shape[-1]))
    whitened: Float64s = scores @ decorrelation(flat.T @ flat / max(len(flat), 1), RIDGE)
    return whitened


def decorrelation(covariance: Float64s, ridge: float) -> Float64s:
    """(features, features) symmetric (C + ridge)^(-1/2): what decorrelates features and keeps feature f feature f."""
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    whitening: Float64s = (vectors / np.sqrt(values)) @ vectors.T
    return whitening


def label_free_scores(features: NDArray[np.floating]) -> Float64s:
    """Normal scores, whitened: (layers, units, features) -> the same shape, float64."""
    return whiten(normal_scores(features))
