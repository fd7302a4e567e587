"""Norms and angles of each FFN neuron's gate row, up row and down column (METHODS: disguised models, invariants)."""

from __future__ import annotations

import numpy as np

from kinprint.fingerprints.kernels import products
from kinprint.fingerprints.layer import Array, Layer, finite
from kinprint.fingerprints.pieces import release

SLAB = 1 << 22
"""Entries of each matrix handled at a time."""


def rows(layer: Layer) -> dict[str, Array]:
    """neurons.norms (neurons, 3) of gate, up, down, and neurons.invariants (neurons, 5): log ||gate||,
    log(||up|| ||down||), cos(gate, up), cos(gate, down), cos(up, down).

    NaN where there is no gate, a vector is zero or holds something that is not finite.
    """
    parts = layer.first("gate", "up", "down") or layer.first("up", "down")
    if not parts:
        return {}
    arrays = [part.read() for part in parts]
    gate, up, down = arrays if len(arrays) == 3 else [arrays[0], *arrays]
    if not gate.shape == up.shape == down.shape[::-1]:
        layer.notes.append(f"neurons.*: gate, up and down of layer {layer.index} do not fit each other")
        return {}
    inner = np.empty((len(up), 6))
    step = max(SLAB // max(up.shape[1], 1), 64)
    for start in range(0, len(up), step):
        here = slice(start, start + step)
        inner[here] = products(gate[here], up[here], down[:, here])
        for array in arrays:
            release(array)
    with np.errstate(all="ignore"):
        g, u, d = norms = np.sqrt(inner[:, :3]).T
        angles = inner[:, 3:] / np.stack([g * u, g * d, u * d], axis=1)
        invariants = np.column_stack([np.log(g), np.log(u * d), angles])
    if len(arrays) == 2:
        norms[0] = np.nan
        invariants[:, [0, 2, 3]] = np.nan
    return {"neurons.norms": finite(norms.T), "neurons.invariants": finite(invariants)}
