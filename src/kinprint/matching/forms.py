"""The neurons of a fingerprint as `neurons.forms` describes them, whatever was done to the form of the weights.

Some columns change sign with a gated neuron, the others do not (`kinprint.fingerprints.form_columns`). `described_by` is what
neurons are matched by and knows nothing of signs; `signs_of` is what can then be tested.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import EVEN, EXPERT, ODD
from kinprint.fingerprints.kept import kept
from kinprint.matching.layers import LAYERS, evenly
from kinprint.statistics import label_free_scores
from kinprint.statistics.normal_scores import decorrelation

RIDGE = 0.05
"""Added to the mean square of signed invariants before they are decorrelated."""

LARGEST = 3.0
"""To which signed invariants are cut, in root mean squares: no single neuron decides."""


def forms_of(model: Fingerprint) -> Float64s:
    """(layers, neurons, columns) float64, the trait `neurons.forms`."""
    return np.asarray(model.traits["neurons.forms"], dtype=np.float64)


def present(model: Fingerprint) -> NDArray[np.bool_]:
    """(columns,) whether any neuron has this."""
    return kept(model, "columns of forms", lambda: np.isfinite(model.traits["neurons.forms"]).any(axis=(0, 1)))


def compared(suspect: Fingerprint) -> Int64s:
    """Which layers of a suspect are compared, of those that have neurons.

    Raises:
        NotApplicable: none has.
    """

    def look() -> Int64s:
        numbers = suspect.traits["neurons.forms"][..., [*EVEN, *ODD]]
        layers = np.flatnonzero(np.isfinite(numbers).any(axis=(1, 2)))
        if not len(layers):
            raise NotApplicable("no layer of the suspect has finite neurons")
        return np.asarray(layers[evenly(len(layers), LAYERS)])

    return kept(suspect, "layers of forms", look)


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
