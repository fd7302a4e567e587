"""Which layer of the reference each layer of the suspect comes from: monotone maps, their best and their sum.

A map sends suspect layers 0, 1, 2 ... to reference layers. Where the suspect has no more layers than the reference it must
ascend strictly (layers were dropped); where it has more, it ascends by zero or one (layers were repeated). Two models of
equal depth admit one map only, the identity, so they need no case of their own. Tests take the shallower model as the suspect,
so that they need strictly ascending maps alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from kinprint.arrays import Float64s


def admissible(reference_layers: int, suspect_layers: int) -> NDArray[np.bool_]:
    """(reference_layers, suspect_layers): which pairs of layers occur in at least one map."""
    if suspect_layers > reference_layers:
        return np.ones((reference_layers, suspect_layers), dtype=bool)
    lag = np.subtract.outer(np.arange(reference_layers), np.arange(suspect_layers))
    return (lag >= 0) & (lag <= reference_layers - suspect_layers)


def best_total(pairs: Float64s) -> Float64s:
    """Largest total over all ascending maps, for each of (..., reference_layers, suspect_layers) tables of pair scores."""
    total = pairs[..., :, 0]
    for layer in range(1, pairs.shape[-1]):
        total = pairs[..., :, layer] + _reach(total, False, np.maximum)
    return np.asarray(total.max(axis=-1))


def log_sum(log_pairs: Float64s) -> Float64s:
    """log of the sum, over all ascending maps, of the product of exp(log_pairs) along the map, for each of (...,
    reference_layers, suspect_layers) tables."""
    return np.asarray(logsumexp(_log_sums(log_pairs)[-1], axis=-1))


def _log_sums(log_pairs: Float64s) -> list[Float64s]:
    """For every suspect layer (..., reference_layers): log of the sum over the maps of the layers up to it that end there."""
    totals = [log_pairs[..., :, 0]]
    for layer in range(1, log_pairs.shape[-1]):
        totals.append(log_pairs[..., :, layer] + _reach(totals[-1], False, np.logaddexp))
    return totals


def drawn_maps(log_pairs: Float64s, draws: int, seed: int) -> NDArray[np.int64]:
    """(suspect_layers, draws) ascending maps, drawn with probability proportional to the product of exp(log_pairs)."""
    rng = np.random.default_rng(seed)
    maps = np.empty((log_pairs.shape[1], draws), dtype=np.int64)
    allowed = np.ones((draws, len(log_pairs)), dtype=bool)
    for layer, totals in reversed(list(enumerate(_log_sums(log_pairs)))):
        logs = np.where(allowed, totals + rng.gumbel(size=allowed.shape), -np.inf)
        maps[layer] = logs.argmax(axis=1)
        allowed = np.arange(len(log_pairs)) < maps[layer][:, None]
    return maps


def best_map(pairs: Float64s, repeats: bool) -> tuple[int, ...]:
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


def layers_in_order(scores: Float64s, deeper: bool) -> list[int]:
    """Reference layer of each suspect layer, from scores (reference layers, suspect layers).

    Never descending, and best in sum; of a deeper suspect each layer's best, since repeated blocks may begin again.
    """
    if deeper:
        return [int(i) for i in scores.argmax(axis=0)]
    best, came = scores[:, 0], []
    for layer in range(1, scores.shape[1]):
        came.append(np.array([int(np.argmax(best[: i + 1])) for i in range(len(best))]))
        best = scores[:, layer] + np.maximum.accumulate(best)
    chosen = [int(np.argmax(best))]
    for step in reversed(came):
        chosen.append(int(step[chosen[-1]]))
    return chosen[::-1]


def _reach(total: Float64s, repeats: bool, join: np.ufunc) -> Float64s:
    """Join the totals of every reference layer from which the next suspect layer may come."""
    nothing = np.full((*total.shape[:-1], 1), -np.inf)
    previous = np.concatenate([nothing, total[..., :-1]], axis=-1)
    joined: Float64s = join(total, previous) if repeats else join.accumulate(previous, axis=-1)
    return joined
