"""Norms and angles of each FFN neuron's gate row, up row and down column."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part
from kinprint.fingerprints.kernels import as_float32

Array = NDArray[np.float64]

PIECE = 256
"""Neurons handled at a time."""


def measure(parts: Mapping[str, Part]) -> dict[str, Array]:
    """Traits of one layer's neurons (METHODS: disguised models, invariants).

    Args:
        parts: the layer's parts by role; up (neurons, hidden) and down (hidden, neurons), gate where it exists.

    Returns:
        neurons.norms (neurons, 3) of gate, up, down, and neurons.invariants (neurons, 5): log ||gate||,
        log(||up|| ||down||), cos(gate, up), cos(gate, down), cos(up, down). NaN where there is no gate, a vector is zero or
        holds something that is not finite.
    """
    up, down = parts["up"].read(), parts["down"].read()
    gate = parts["gate"].read() if "gate" in parts else None
    if up.shape != down.shape[::-1] or (gate is not None and gate.shape != up.shape):
        return {}
    norms, invariants = np.full((len(up), 3), np.nan), np.full((len(up), 5), np.nan)
    with np.errstate(all="ignore"):
        for start in range(0, len(up), PIECE):
            here = slice(start, start + PIECE)
            u, d = as_float32(up[here]), as_float32(down[:, here].T)
            norms[here, 1], norms[here, 2] = _norm(u), _norm(d)
            invariants[here, 1] = np.log(norms[here, 1] * norms[here, 2])
            invariants[here, 4] = _dot(u, d) / (norms[here, 1] * norms[here, 2])
            if gate is not None:
                g = as_float32(gate[here])
                norms[here, 0] = _norm(g)
                invariants[here, 0] = np.log(norms[here, 0])
                invariants[here, 2] = _dot(g, u) / (norms[here, 0] * norms[here, 1])
                invariants[here, 3] = _dot(g, d) / (norms[here, 0] * norms[here, 2])
    return {
        "neurons.norms": np.where(np.isfinite(norms), norms, np.nan),
        "neurons.invariants": np.where(np.isfinite(invariants), invariants, np.nan),
    }


def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b), dtype=np.float64)


def _norm(a: NDArray[np.float32]) -> Array:
    return np.asarray(np.sqrt(_dot(a, a)))
