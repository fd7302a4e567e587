"""Sums of differences of which some entries were dropped: DARE, Model Breadcrumbs, and others that leave the base in places.

    y = base + sum_i a_i m_i (x_i - base),  m_i 0 or 1 in every entry

| kind | which entries are dropped | a_i |
|---|---|---|
| dare | any, at random (Yu et al. 2024, arXiv 2311.03099, section 3.2) | weight over the share that is kept |
| breadcrumbs | the largest and the smallest of every tensor (Davari and Belilovsky, arXiv 2312.06795, section 3) | weight |
| sparse | by another rule | weight over the share that is kept |

DELLA (arXiv 2406.11617) rescales every entry by its own rank and SCE (arXiv 2408.07990) weights every tensor: no a_i holds for
them, and their parts are found by the sums alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.library.merges.account import Account
from kinprint.library.merges.combination import Data

ROUNDS = 10
CLEAR = 4.0
"""Spacings by which a model has to differ from the base in an entry that shows whether it was taken."""

BINS = 200
"""Of log multipliers, a percent wide."""

TOP = 0.008
"""Share of a tensor's entries that count as its largest."""

LATTICE = 0.01
"""Share of a multiplier that its error is, at least: differences of few spacings are rounded to one another."""

TREND = 4.0
"""Standard errors by which a random drop may depend on the size of what is dropped."""


def dropped(data: Data, base: int, parts: Sequence[int]) -> float:
    """Share of the entries that are the base's own although all parts differ from it there."""
    clear = _clear(data, base, parts).all(axis=0)
    own = np.abs(data.y - data.x[base]) <= data.spacing / 2
    return float(np.mean(own[clear])) if clear.any() else 0.0


def sparse_sum(data: Data, base: int, parts: Sequence[int]) -> Account | None:
    """The multipliers, and which entries were taken, that come nearest to the suspect; None where no multiplier stands out."""
    kept = np.flatnonzero(data.usable([base, *parts]))
    origin = data.x[base, kept]
    deltas, change = data.x[list(parts)][:, kept] - origin, data.y[kept] - origin
    clear = _clear(data, base, parts)[:, kept]
    subsets = np.array(list(product([False, True], repeat=len(parts))))
    starts = [
        _multiplier(change, delta, own & (np.abs(change) > data.spacing[kept]))
        for delta, own in zip(deltas, clear, strict=True)
    ]
    if not all(starts):
        return None
    factors, taken, sure = np.array(starts), np.zeros(len(kept), int), clear.any(axis=0)
    for _ in range(ROUNDS):
        before, taken = taken, np.argmin(np.abs((subsets * factors) @ deltas - change), axis=0)
        terms = np.where(subsets[taken].T, deltas, 0)
        factors = np.linalg.lstsq(terms[:, sure].T, change[sure], rcond=None)[0]
        if np.array_equal(before, taken):
            break
    remainder = np.full(len(data.y), np.nan)
    remainder[kept] = change - factors @ np.where(subsets[taken].T, deltas, 0)
    return _named(data, base, parts, factors, remainder, subsets[taken].T, clear, kept)


def _named(
    data: Data,
    base: int,
    parts: Sequence[int],
    factors: Float64s,
    remainder: Float64s,
    taken: NDArray[np.bool_],
    clear: NDArray[np.bool_],
    kept: NDArray[np.int64],
) -> Account:
    """The account, its kind by which entries were taken."""
    shares, kinds = np.zeros(len(parts)), set()
    for row, number in enumerate(parts):
        ranks = _rank(np.abs(data.x[number, kept] - data.x[base, kept]), data.places.tensor[kept])[clear[row]]
        shares[row] = np.mean(taken[row, clear[row]]) if clear[row].any() else 0
        kinds.add(_rule(ranks, taken[row, clear[row]]))
    kind = kinds.pop() if len(kinds) == 1 else "sparse"
    weights = factors if kind == "breadcrumbs" else factors * shares
    counts = np.maximum(clear.sum(axis=1), 1)
    spread = np.zeros(len(parts)) if kind == "breadcrumbs" else np.sqrt(shares * (1 - shares) / counts)
    errors = np.abs(factors) * np.maximum(spread, LATTICE)
    return Account(kind, tuple(parts), weights, errors, remainder, base, {"density": float(np.mean(shares))})


def _rule(ranks: Float64s, taken: NDArray[np.bool_]) -> str:
    """By which rule entries were dropped, from the rank of their size in their tensor."""
    if len(ranks) < BINS:
        return "sparse"
    share = float(np.mean(taken))
    middle = float(np.mean(taken[(ranks > 0.7) & (ranks < 0.95)]))
    if middle > 0.9 and np.mean(taken[ranks > 1 - TOP]) < 0.5 * middle and share < 0.95 * middle:
        return "breadcrumbs"
    trend = float(np.corrcoef(ranks, taken)[0, 1]) if 0 < share < 1 else 0.0
    return "dare" if 0 < share < 1 and abs(trend) * np.sqrt(len(ranks)) < TREND else "sparse"


def _multiplier(change: Float64s, delta: Float64s, clear: NDArray[np.bool_]) -> float:
    """The ratio of change to difference that most entries have; 0 where there are too few."""
    ratio = change[clear] / delta[clear]
    ratio = ratio[(ratio > 0.05) & (ratio < 20)]
    if len(ratio) < BINS:
        return 0.0
    logs = np.log(ratio)
    counts, edges = np.histogram(logs, bins=int((np.log(20) - np.log(0.05)) * 100))
    peak = int(np.argmax(np.convolve(counts, np.ones(3), "same")))
    near = np.abs(logs - (edges[peak] + edges[peak + 1]) / 2) < 0.02
    return float(np.exp(np.median(logs[near]))) if near.any() else 0.0


def _clear(data: Data, base: int, parts: Sequence[int]) -> NDArray[np.bool_]:
    """(parts, columns) whether a model differs from the base by enough to show."""
    return np.asarray(np.abs(data.x[list(parts)] - data.x[base]) > CLEAR * data.spacing)


def _rank(sizes: Float64s, tensor: NDArray[np.int64]) -> Float64s:
    """(columns,) of each entry in its tensor, between 0 and 1."""
    order = np.lexsort((sizes, tensor))
    starts = np.searchsorted(tensor[order], tensor[order])
    rank = np.empty(len(sizes))
    rank[order] = np.arange(len(sizes)) - starts
    return np.asarray((rank + 0.5) / np.maximum(np.bincount(tensor)[tensor], 1))
