"""Merges that drop entries of the differences from a base before they add them, each as its paper says it.

Every function takes the differences of a tensor (models, ...) float32, one weight a model, the share of entries that is kept,
and a source of random numbers. It returns what is added to the base, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float32s

Sparse = Callable[..., Float32s]

LARGEST = 0.01
"""Share of the largest entries that Breadcrumbs drops (mergekit's default, gamma)."""

SPREAD = 0.1
"""By how much DELLA's shares kept of small and large entries differ from the mean (mergekit's default, epsilon)."""


def dare(deltas: Sequence[Float32s], weights: Sequence[float], density: float, random: np.random.Generator) -> Float32s:
    """Every entry is kept with one chance and divided by it (Yu et al. 2024, arXiv 2311.03099, section 3.2)."""
    return _sum([delta * (random.random(delta.shape) < density) / np.float32(density) for delta in deltas], weights)


def della(deltas: Sequence[Float32s], weights: Sequence[float], density: float, random: np.random.Generator) -> Float32s:
    """Larger entries of a row are kept with a larger chance, each divided by its own; then the sum of the elected sign
    (Deep et al. 2024, arXiv 2406.11617, sections 3.1 to 3.3).
    """
    kept = []
    for delta in deltas:
        chance = np.clip(density + SPREAD * (_ranks(np.abs(delta)) - 0.5), 0.01, 1).astype(np.float32)
        kept.append(delta * (random.random(delta.shape) < chance) / chance)
    signs = np.sign(_sum(kept, weights))
    return _sum([np.where(np.sign(delta) == signs, delta, 0) for delta in kept], weights)


def breadcrumbs(deltas: Sequence[Float32s], weights: Sequence[float], density: float, random: np.random.Generator) -> Float32s:
    """Without the largest entries of a tensor and the smallest (Davari and Belilovsky, arXiv 2312.06795, section 3)."""
    kept = []
    for delta in deltas:
        rank = _ranks(np.abs(delta).ravel()).reshape(delta.shape)
        kept.append(np.where((rank < 1 - LARGEST) & (rank >= 1 - LARGEST - density), delta, np.float32(0)))
    return _sum(kept, weights)


def sce(deltas: Sequence[Float32s], weights: Sequence[float], density: float, random: np.random.Generator) -> Float32s:
    """The entries in which models differ most; tensors weighted by their mean square; the elected sign; `weights` are not used
    (Wan et al. 2024, arXiv 2408.07990, section 3.3).
    """
    stacked = np.stack(deltas)
    spread = stacked.var(axis=0)
    selected = _ranks(spread.ravel()).reshape(spread.shape) >= 1 - density
    stacked = np.where(selected, stacked, 0)
    squares = (stacked.astype(np.float64) ** 2).reshape(len(stacked), -1).mean(axis=1)
    shares = squares / squares.sum() if squares.sum() else np.full(len(stacked), 1 / len(stacked))
    agrees = np.sign(stacked) == np.sign(stacked.sum(axis=0))
    own = shares.reshape(-1, *[1] * spread.ndim) * agrees
    total = own.sum(axis=0)
    return np.asarray((own * stacked).sum(axis=0) / np.where(total == 0, 1, total), np.float32)


SPARSE: dict[str, Sparse] = {"dare": dare, "della": della, "breadcrumbs": breadcrumbs, "sce": sce}


def _sum(deltas: Sequence[Float32s], weights: Sequence[float]) -> Float32s:
    return np.asarray(np.sum([d * np.float32(w) for d, w in zip(deltas, weights, strict=True)], axis=0), np.float32)


def _ranks(sizes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank of each entry in its row, between 0 and 1."""
    order = np.argsort(np.argsort(sizes, axis=-1, kind="stable"), axis=-1, kind="stable")
    return np.asarray((order + 0.5) / sizes.shape[-1])
