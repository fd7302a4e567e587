"""The neurons of a fingerprint as `neurons.invariants` describes them, by label."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.matching.twins import joined


def invariants(model: Fingerprint) -> Float64s:
    """(layers, neurons, 6) of `neurons.invariants`: the log norm, the log product, |cos(gate, up)|, |cos(gate, down)|,
    cos(up, down) and cos(gate, up) cos(gate, down). Nothing that signs or scales of neurons change; of a neuron that was split
    the part that writes most stands for all. NaN where there is no neuron, or a layer or an ungated FFN lacks one."""
    size, product, *angles, write = np.moveaxis(joined(model.traits["neurons.invariants"]), -1, 0)
    return np.stack([size, product, *np.abs(angles), write, angles[0] * angles[1]], axis=-1)
