"""The compiled loops of `relabelling` and `permanents`, divided among the processors. How, changes no number."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s, Int64s
from kinprint.compiled import on_processors, processors
from kinprint.statistics import permanents, relabelling

FEW = 4096
"""Matrices that one processor is done with before another has begun."""


def log_permanents(logs: Float64s) -> Float64s:
    """As `permanents.log_permanents`."""
    if len(logs) < 2 * FEW:
        return np.asarray(permanents.log_permanents(logs))
    step = -(-len(logs) // min(processors(), len(logs) // FEW))
    step += -step % permanents.LANES
    parts = [(logs[start : start + step],) for start in range(0, len(logs), step)]
    return np.concatenate(on_processors(permanents.log_permanents, parts))


def relabelled(
    scores: Float64s, suspect_layer: Int64s, stream: Int64s, group_counts: Int64s, member_counts: Int64s, draws: int, seed: int
) -> Float64s:
    """As `relabelling.relabelled`."""
    shares = _shares(suspect_layer, group_counts)
    parts = [(_of(scores, mine), suspect_layer[mine], stream, counts, member_counts, draws, seed) for mine, counts in shares]
    return _joined(len(scores), draws, shares, on_processors(relabelling.relabelled, parts))


def tilted(
    scores: Float64s,
    theta: float,
    suspect_layer: Int64s,
    chosen: Int64s,
    group_counts: Int64s,
    member_counts: Int64s,
    seed: int,
) -> Float64s:
    """As `relabelling.tilted`."""
    shares = _shares(suspect_layer, group_counts)
    parts = [
        (
            _of(scores, mine),
            theta,
            suspect_layer[mine],
            np.searchsorted(mine, chosen),
            counts,
            member_counts,
            seed,
        )
        for mine, counts in shares
    ]
    return _joined(len(scores), chosen.shape[1], shares, on_processors(relabelling.tilted, parts))


def _shares(suspect_layer: Int64s, group_counts: Int64s) -> list[tuple[Int64s, Int64s]]:
    """For each processor the pairs of its suspect layers, and the groups of these: none of the layers of others."""
    shares = []
    for layers in np.array_split(np.arange(len(group_counts)), max(min(processors(), len(group_counts)), 1)):
        counts = np.zeros_like(group_counts)
        counts[layers] = group_counts[layers]
        shares.append((np.flatnonzero(np.isin(suspect_layer, layers)), counts))
    return shares


def _of(scores: Float64s, mine: Int64s) -> Float64s:
    """The scores of some pairs, contiguous: each layout of an array would be compiled for itself."""
    return np.ascontiguousarray(scores if len(mine) == len(scores) else scores[mine])


def _joined(pairs: int, draws: int, shares: list[tuple[Int64s, Int64s]], totals: list[Float64s]) -> Float64s:
    """(pairs, draws) of the totals of every share."""
    joined = np.zeros((pairs, draws))
    for (mine, _), found in zip(shares, totals, strict=True):
        joined[mine] = found
    return joined
