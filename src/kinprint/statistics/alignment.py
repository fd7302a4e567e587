"""Which layer of the reference each layer of the suspect comes from: monotone maps, their best and their sum.

A map sends suspect layers 0, 1, 2 ... to reference layers. Where the suspect has no more layers than the reference it must
ascend strictly (layers were dropped); where it has more, it ascends by zero or one (layers were repeated). Two models of
equal depth admit one map only, the identity, so they need no case of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]


def admissible(reference_layers: int, suspect_layers: int) -> NDArray[np.bool_]:
    """(reference_layers, suspect_layers): which pairs of layers occur in at least one map."""
    if suspect_layers > reference_layers:
        return np.ones((reference_layers, suspect_layers), dtype=bool)
    lag = np.subtract.outer(np.arange(reference_layers), np.arange(suspect_layers))
    return (lag >= 0) & (lag <= reference_layers - suspect_layers)


def best_total(pairs: Array, repeats: bool) -> Array:
    """Largest total over all maps, for each of (..., reference_layers, suspect_layers) tables of pair scores."""
    total = pairs[..., :, 0]
    for layer in range(1, pairs.shape[-1]):
        total = pairs[..., :, layer] + _reach(total, repeats, np.maximum)
    return np.asarray(total.max(axis=-1))


def log_sum(log_pairs: Array, repeats: bool) -> float:
    """log of the sum, over all maps, of the product of exp(log_pairs) along the map."""
    total = log_pairs[:, 0]
    for layer in range(1, log_pairs.shape[1]):
        total = log_pairs[:, layer] + _reach(total, repeats, np.logaddexp)
    return float(logsumexp(total))


def best_map(pairs: Array, repeats: bool) -> tuple[int, ...]:
    """The map that `best_total` found: the reference layer of each suspect layer. pairs is (reference, suspect)."""
    totals = [pairs[:, 0]]
    for layer in range(1, pairs.shape[1]):
        totals.append(pairs[:, layer] + _reach(totals[-1], repeats, np.maximum))
    chosen = [int(np.argmax(totals[-1]))]
    for total in reversed(totals[:-1]):
        here = chosen[-1]
        allowed = np.arange(max(here - 1, 0), here + 1) if repeats else np.arange(here)
        chosen.append(int(allowed[np.argmax(total[allowed])]))
    return tuple(reversed(chosen))


def _reach(total: Array, repeats: bool, join: np.ufunc) -> Array:
    """Join the totals of every reference layer from which the next suspect layer may come."""
    nothing = np.full((*total.shape[:-1], 1), -np.inf)
    previous = np.concatenate([nothing, total[..., :-1]], axis=-1)
    joined: Array = join(total, previous) if repeats else join.accumulate(previous, axis=-1)
    return joined
