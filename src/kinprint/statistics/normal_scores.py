"""Features of units made comparable between two models, without looking at the units' labels."""

from __future__ import annotations

from typing import Any

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
    columns = np.array(np.moveaxis(features, 1, 2), np.float64, order="C")  # a copy, which is written into
    absent = np.isnan(columns)
    columns[absent] = np.inf
    scores = np.empty(features.shape)
    if scores.size:
        counts, which = np.unique(columns.shape[-1] - absent.sum(axis=-1), return_inverse=True)
        by_rank = _by_rank(counts)
        for layer, which_of in enumerate(which.reshape(columns.shape[:2])):
            _enter(columns[layer], np.argsort(columns[layer], axis=-1), counts, which_of, by_rank, scores[layer])
    scores[absent.swapaxes(1, 2)] = 0.0
    return scores


def _by_rank(counts: Int64s) -> Float64s:
    """(counts, 2 n + 1): for a feature that so many units have, the score of each rank, in halves since ties share one."""
    table = np.zeros((len(counts), 2 * int(counts.max()) + 1))
    for row, known in zip(table, counts, strict=True):
        ranks = np.arange(2 * known + 1) / 2
        row[: len(ranks)] = ndtri(np.minimum(ranks / (known + 1), max(known, 1) / (max(known, 1) + 1)))
    return table


@compiled()
def _enter(values: Any, order: Any, counts: Any, which: Any, by_rank: Any, scores: Any) -> None:
    """Fill scores (units, features) from values (features, units) and what sorts them.

    Args:
        counts, by_rank: as of `_by_rank`; no rank is beyond the count.
        which: (features,) which of the counts.
    """
    features, units = values.shape
    for feature in range(features):
        most = 2 * counts[which[feature]]
        first = 0
        while first < units:
            value, last = values[feature, order[feature, first]], first
            while last + 1 < units and values[feature, order[feature, last + 1]] == value:
                last += 1
            twice = first + last + 2
            score = by_rank[which[feature], twice if twice < most else most]
            for place in range(first, last + 1):
                scores[order[feature, place], feature] = score
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
