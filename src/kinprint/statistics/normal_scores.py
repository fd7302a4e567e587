"""Features of units made comparable between two models, without looking at the units' labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kinprint.arrays import Float64s, Int64s

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
        by_rank = _by_rank(counts)
        for layer, which_of in enumerate(which.reshape(known.shape)):
            ranked = _mean_ranks(columns[layer], known[layer])
            scores[layer] = np.where(absent[layer], 0.0, np.take_along_axis(by_rank[which_of], ranked, axis=1)).T
    return scores


def _by_rank(counts: Int64s) -> Float64s:
    """(counts, 2 n + 1): for a feature that so many units have, the score of each rank, in halves since ties share one."""
    table = np.zeros((len(counts), 2 * int(counts.max()) + 1))
    for row, known in zip(table, counts, strict=True):
        ranks = np.arange(2 * known + 1) / 2
        row[: len(ranks)] = ndtri(np.minimum(ranks / (known + 1), max(known, 1) / (max(known, 1) + 1)))
    return table


def _mean_ranks(values: Float64s, known: Int64s) -> Int64s:
    """(features, units) twice the rank of values (features, units), counted from 1, the mean of those that are alike.

    Args:
        known: (features,) how many values are there, the smallest; no rank is beyond.
    """
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    places = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    begins = np.ones(values.shape, bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    first = last = places
    if not begins.all():
        first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
        ends = np.concatenate([begins[:, 1:], np.ones((len(values), 1), bool)], axis=1)
        last = np.minimum.accumulate(np.where(ends, places, values.shape[1])[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape, np.int64)
    np.put_along_axis(ranks, order, np.minimum(first + last + 2, 2 * known[:, None]), axis=1)
    return ranks


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
