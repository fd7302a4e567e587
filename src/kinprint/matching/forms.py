"""The neurons of a fingerprint as `neurons.forms` describes them, whatever was done to the form of the weights.

Some columns change sign with a gated neuron, the others do not (`kinprint.fingerprints.form_columns`). `described_by` is what
neurons are matched by and knows nothing of signs; `signs_of` is what can then be tested.
"""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.fingerprints.form_columns import EXPERT
from kinprint.statistics import label_free_scores
from kinprint.statistics.normal_scores import decorrelation

RIDGE = 0.05
"""Added to the mean square of signed invariants before they are decorrelated."""

LARGEST = 3.0
"""To which signed invariants are cut, in root mean squares: no single neuron decides."""


def one_expert(values: Float64s) -> Float64s:
    """Neurons of one expert a layer, the one with most of them; the others become NaN.

    Experts may be copies of each other (upcycling), and copies share their signs: in one of the models every neuron must be
    there once.
    """
    kept = values.copy()
    for layer in kept:
        experts, counts = np.unique(layer[np.isfinite(layer[:, EXPERT]), EXPERT], return_counts=True)
        if len(experts) > 1:
            layer[layer[:, EXPERT] != experts[np.argmax(counts)]] = np.nan
    return kept


def described_by(values: Float64s, even: list[int], odd: list[int]) -> Float64s:
    """(layers, neurons, features) scores that do not depend on signs; NaN rows for neurons that are not there."""
    signed = values[..., odd]
    features = np.concatenate([values[..., even], np.abs(signed), signed[..., 1:] * signed[..., :1]], axis=-1)
    absent = ~np.isfinite(features).any(axis=-1)
    scores = label_free_scores(features)
    scores[absent] = np.nan
    return scores


def signs_of(values: Float64s, odd: list[int]) -> Float64s:
    """(layers, neurons, odd) signed invariants over their root mean square in the layer, decorrelated over the model.

    Scaling and decorrelation see only products of two of them, in which the signs cancel.
    """
    signed = np.nan_to_num(values[..., odd])
    size = np.sqrt(np.mean(signed**2, axis=1, keepdims=True))
    signed = np.clip(signed / np.maximum(size, 1e-30), -LARGEST, LARGEST)
    flat = signed.reshape(-1, signed.shape[-1])
    return np.asarray(signed @ decorrelation(flat.T @ flat / len(flat), RIDGE))
