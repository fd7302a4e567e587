"""The gated neurons of a fingerprint's first layer as `readings.gate` and `readings.up` describe them."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.matching.rotation import unit
from kinprint.statistics.normal_scores import decorrelation

RIDGE = 0.05
"""Added to the mean square of readings before they are decorrelated."""


def directions(model: Fingerprint, tokens: int) -> tuple[Float64s, Float64s]:
    """(neurons, tokens) unit vectors of gates and ups, decorrelated over the neurons; of neurons for which both are known.

    Scaling and decorrelation see only products of two readings of one neuron, in which its sign cancels.

    Raises:
        NotApplicable: there are too few.
    """
    gate, up = (np.asarray(model.traits[f"readings.{role}"], dtype=np.float64)[:, :tokens] for role in ("gate", "up"))
    if gate.shape != up.shape:
        raise NotApplicable(f"the traits readings.gate and readings.up of {model.name} have different shapes")
    known = np.isfinite(gate).all(axis=1) & np.isfinite(up).all(axis=1) & gate.any(axis=1) & up.any(axis=1)
    if known.sum() < 2:
        raise NotApplicable(f"{model.name} has no finite gated neurons in its first layer")
    return _decorrelated(gate[known]), _decorrelated(up[known])


def _decorrelated(rows: Float64s) -> Float64s:
    rows = rows / np.maximum(np.abs(rows).max(initial=0.0), 1e-300)
    rows = rows / np.maximum(np.sqrt(np.mean(rows**2, axis=0)), 1e-12)
    rows = rows @ decorrelation(rows.T @ rows / len(rows), RIDGE)
    return unit(rows)
