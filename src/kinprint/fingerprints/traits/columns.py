"""What the columns of an embedding hold besides their size: sums over tokens with fixed signs.

Every token is added or taken away, in sixteen ways that depend on nothing but its number. The sums of a column, over the size
of the column, are those of its direction: an order of channels by any size says nothing of them.
"""

from __future__ import annotations

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from kinprint.arrays import Array
from kinprint.fingerprints.folded import folded
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.pieces import pieces
from kinprint.fingerprints.traits.channels import around_mean, on_the_stream

SUMS = 16


def rows(layer: Layer) -> dict[str, Array]:
    """columns.embedding, columns.head (hidden, SUMS), where tokens are as wide as the residual stream."""
    return {f"columns.{role}": _sums(layer, role) for role in ("embedding", "head") if on_the_stream(layer, role)}


def _sums(layer: Layer, role: str) -> Array:
    item = layer.roles[role][0]
    matrix = item.part.read()
    tokens = matrix.shape[0]
    signs = signs_of_tokens(tokens)
    total, start = np.zeros((SUMS, matrix.shape[1])), 0
    with np.errstate(all="ignore"):
        for piece in pieces(matrix):
            total += signs[:, start : start + len(piece)] @ widened(piece)
            start += len(piece)
        total -= signs.sum(axis=1, dtype=np.float64)[:, None] * (item.sums.column_sums / tokens)
        return np.asarray((folded(layer, role, total) / around_mean(layer, role)).T)


def signs_of_tokens(tokens: int) -> NDArray[np.float32]:
    """(SUMS, tokens) 1 or -1: bit t of the BLAKE3 output stream of "kinprint columns <number of the sum>", the highest bit of a
    byte first."""
    streams = [blake3(f"kinprint columns {number}".encode()).digest(length=-(-tokens // 8)) for number in range(SUMS)]
    bits = np.unpackbits(np.frombuffer(b"".join(streams), np.uint8).reshape(SUMS, -1), axis=1, count=tokens)
    return bits.astype(np.float32) * 2 - 1
