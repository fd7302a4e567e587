"""Features of units made comparable between two models, without looking at the units' labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kinprint.arrays import Float64s
from kinprint.statistics.ranks import mean_ranks

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
    absent = np.isnan(features)
    ranks = mean_ranks(np.where(absent, np.inf, features))
    known = np.maximum((~absent).sum(axis=1, keepdims=True), 1)
    return np.where(absent, 0.0, ndtri(np.minimum(ranks / (known + 1), known / (known + 1))))


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
