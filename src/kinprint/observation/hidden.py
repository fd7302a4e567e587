"""What is kept of hidden states and logits: little enough for a fingerprint, enough for exact comparisons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from kinprint.arrays import Float64s

OUTSIDE = 512
"""At most so many directions without logits (`outside`) are kept in a fingerprint."""

TOKENS = 8192
"""Logits of at most so many tokens are kept."""


def gram(states: NDArray[np.floating]) -> Float64s:
    """(texts, texts) inner products of hidden states (texts, hidden) after removing their mean: all that CKA needs.

    Distances, and so every kernel of distances, follow from it: d_ij^2 = K_ii + K_jj - 2 K_ij.
    """
    centred = np.asarray(states, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    return np.asarray(centred @ centred.T)


def chosen_tokens(vocabulary: Mapping[str, int], size: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Ids and hashes of the tokens whose logits are kept, the smallest hashes of the token strings first.

    Models with one vocabulary choose the same tokens, in the same order, whatever their widths.

    Args:
        vocabulary: token string -> id.
        size: number of rows of the output head: ids beyond have no logits.
    """
    hashes = {
        int.from_bytes(blake3(token.encode("utf-8", "surrogatepass")).digest(length=8), "little"): index
        for token, index in vocabulary.items()
        if 0 <= index < size
    }
    kept = sorted(hashes)[:TOKENS]
    return np.array([hashes[value] for value in kept], dtype=np.int64), np.array(kept, dtype=np.uint64)


def outside(head: NDArray[np.floating]) -> Float64s | None:
    """(k, m) orthonormal directions of token space that are orthogonal to every column of an output head (m, hidden).

    Every logit vector of the model is a combination of those columns, so none has a part in these directions: k = m - rank,
    at most OUTSIDE. None if the columns span everything.

    Source: Yang and Wu, A Fingerprint for Large Language Models, 2024.
    """
    matrix = np.asarray(head, dtype=np.float64)
    directions, values, _ = np.linalg.svd(matrix, full_matrices=True)
    rank = int((values > values[0] * max(matrix.shape) * np.finfo(np.float32).eps).sum()) if values[0] > 0 else 0
    orthogonal = directions[:, rank:][:, :OUTSIDE].T
    return np.ascontiguousarray(orthogonal) if len(orthogonal) else None


def tested_tokens(tokens: int, hidden: int) -> int:
    """How many of the kept tokens the span of an output head is taken in: enough to leave OUTSIDE directions out of it."""
    return min(tokens, hidden + OUTSIDE)
