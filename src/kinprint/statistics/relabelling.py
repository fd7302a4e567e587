"""Random relabellings of blocks of units, and what the scores of equal labels then add up to: compiled, with streams of random
numbers that do not depend on the number of threads.

Scores are (pairs, outer blocks, groups, groups, inner blocks, members, members): of every pair of layers, for the units of a
block, how well a place fits a unit. Pairs that share a suspect layer see the same relabelling, and so do pairs whose suspect
layers are copies of each other (`stream`).
"""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s, Int64s
from kinprint.compiled import compiled
from kinprint.statistics.permanents import placements

SEED = 0x6B696E7072696E74

AHEAD = 8
"""Permutations drawn side by side."""


@compiled()
def _next(state: np.uint64) -> tuple[np.uint64, np.uint64]:
    """SplitMix64: the next state and 64 random bits of it (Steele, Lea and Flood, 2014)."""
    state += np.uint64(0x9E3779B97F4A7C15)
    bits = state
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, bits ^ (bits >> np.uint64(31))


@compiled()
def _shuffle(order: Int64s, count: int, state: np.uint64) -> np.uint64:
    """Fill order[:count] with a uniformly random permutation: one draw, read as a fraction in mixed radix.

    count is at most BLOCK, so some permutation is favoured by no more than 8! / 2^56.
    """
    state, bits = _next(state)
    fraction = bits >> np.uint64(8)
    order[0] = 0
    for i in range(1, count):
        scaled = fraction * np.uint64(i + 1)
        j = int(scaled >> np.uint64(56))
        fraction = scaled & np.uint64(0xFFFFFFFFFFFFFF)
        order[i] = order[j]
        order[j] = i
    return state


@compiled()
def _shuffles(orders: Int64s, count: int, state: np.uint64) -> np.uint64:
    """Fill the first `count` rows of orders (size, AHEAD) with the permutations that `_shuffle` gives one after the other.

    Each is a chain of dependent steps: side by side, the processor works on several at a time.
    """
    fractions = np.empty(AHEAD, np.uint64)
    for lane in range(AHEAD):
        state, bits = _next(state)
        fractions[lane] = bits >> np.uint64(8)
        orders[0, lane] = 0
    for i in range(1, count):
        for lane in range(AHEAD):
            scaled = fractions[lane] * np.uint64(i + 1)
            j = int(scaled >> np.uint64(56))
            fractions[lane] = scaled & np.uint64(0xFFFFFFFFFFFFFF)
            orders[i, lane] = orders[j, lane]
            orders[j, lane] = i
    return state


@compiled()
def _relabelled_units(
    scores: Float64s, blocks: int, size: int, concerned: Int64s, block: int, count: int, state: np.uint64, totals: Float64s
) -> None:
    """Add to totals (pairs, draws) what a block of single units gives; scores are (pairs, blocks, size, size), flat."""
    draws = totals.shape[1]
    orders = np.empty((size, AHEAD), np.int64)
    sums = np.empty(AHEAD)
    for first in range(0, draws, AHEAD):
        state = _shuffles(orders, count, state)
        lanes = min(AHEAD, draws - first)
        for pair in concerned:
            for lane in range(lanes):
                sums[lane] = totals[pair, first + lane]
            for unit in range(count):
                start = ((pair * blocks + block) * size + unit) * size
                for lane in range(lanes):
                    sums[lane] += scores[np.uint64(start + orders[unit, lane])]
            for lane in range(lanes):
                totals[pair, first + lane] = sums[lane]


@compiled()
def relabelled(
    scores: Float64s, suspect_layer: Int64s, stream: Int64s, group_counts: Int64s, member_counts: Int64s, draws: int, seed: int
) -> Float64s:
    """(pairs, draws) totals under uniformly random relabellings.

    Args:
        suspect_layer: (pairs,) which layer's units are relabelled.
        stream: (suspect layers,) equal numbers for layers that are relabelled alike.
        group_counts: (suspect layers, outer blocks) groups in each block.
        member_counts: (inner blocks,) members in each block.
    """
    totals = np.zeros((len(scores), draws))
    blocks, size, parts, width = scores.shape[1], scores.shape[2], scores.shape[4], scores.shape[5]
    matrix = width * width
    flat = scores.ravel()
    for layer in range(len(stream)):
        concerned = np.flatnonzero(suspect_layer == layer)
        groups = np.empty(size, dtype=np.int64)
        members = np.zeros(width, dtype=np.int64)
        for block in range(blocks):
            state = np.uint64(seed) + np.uint64(stream[layer] * blocks + block) * np.uint64(0xD1342543DE82EF95)
            count = group_counts[layer, block]
            if matrix == 1 and parts == 1:
                if count:
                    _relabelled_units(flat, blocks, size, concerned, block, count, state, totals)
                continue
            for draw in range(draws if count else 0):
                state = _shuffle(groups, count, state)
                for group in range(count):
                    for part in range(parts):
                        if member_counts[part] > 1:
                            state = _shuffle(members, member_counts[part], state)
                        here = ((block * size + group) * size + groups[group]) * parts + part
                        for pair in concerned:
                            start = (pair * blocks * size * size * parts + here) * matrix
                            total = 0.0
                            for member in range(member_counts[part]):
                                total += flat[np.uint64(start + member * width + members[member])]
                            totals[pair, draw] += total
    return totals


@compiled()
def _place(order: Int64s, count: int, entries: Float64s, sums: Float64s, state: np.uint64) -> np.uint64:
    """Fill order[:count] with a permutation drawn with probability proportional to the product of its entries."""
    subset = (1 << count) - 1
    for row in range(count - 1, -1, -1):
        state, bits = _next(state)
        left = (bits >> np.uint64(11)) * 2.0**-53 * sums[subset]
        chosen = -1
        for j in range(count):
            if subset >> j & 1:
                chosen = j
                left -= entries[row, j] * sums[subset ^ (1 << j)]
                if left < 0:
                    break
        order[row] = chosen
        subset ^= 1 << chosen
    return state


@compiled()
def tilted(
    scores: Float64s,
    theta: float,
    suspect_layer: Int64s,
    chosen: Int64s,
    group_counts: Int64s,
    member_counts: Int64s,
    seed: int,
) -> Float64s:
    """(pairs, draws) totals under relabellings that are drawn with probability proportional to exp(theta total).

    Args:
        chosen: (suspect layers, draws) the pair whose total it is, for each layer and draw.
        group_counts, member_counts: as of `relabelled`.
    """
    draws = chosen.shape[1]
    totals = np.zeros((len(scores), draws))
    blocks, size, parts, width = scores.shape[1], scores.shape[2], scores.shape[4], scores.shape[5]
    for layer in range(len(chosen)):
        concerned = np.flatnonzero(suspect_layer == layer)
        groups = np.empty(size, dtype=np.int64)
        members = np.zeros(width, dtype=np.int64)
        outer_entries = np.empty((len(concerned), size, size))
        outer_sums = np.empty((len(concerned), 1 << size))
        inner_entries = np.empty((len(concerned), size, size, parts, width, width))
        inner_sums = np.empty((len(concerned), size, size, parts, 1 << width))
        logs = np.empty((size, size))
        for block in range(blocks):
            count = group_counts[layer, block]
            if not count:
                continue
            state = np.uint64(seed) + np.uint64(layer * blocks + block) * np.uint64(0xD1342543DE82EF95)
            for number in range(len(concerned)):
                pair = concerned[number]
                for g in range(count):
                    for h in range(count):
                        logs[g, h] = 0.0
                        for part in range(parts):
                            logs[g, h] += placements(
                                theta * scores[pair, block, g, h, part],
                                member_counts[part],
                                inner_entries[number, g, h, part],
                                inner_sums[number, g, h, part],
                            )
                placements(logs, count, outer_entries[number], outer_sums[number])
            for draw in range(draws):
                own = 0
                while concerned[own] != chosen[layer, draw]:
                    own += 1
                state = _place(groups, count, outer_entries[own], outer_sums[own], state)
                for g in range(count):
                    h = groups[g]
                    for part in range(parts):
                        inner = inner_entries[own, g, h, part]
                        state = _place(members, member_counts[part], inner, inner_sums[own, g, h, part], state)
                        for pair in concerned:
                            total = 0.0
                            for member in range(member_counts[part]):
                                total += scores[pair, block, g, h, part, member, members[member]]
                            totals[pair, draw] += total
    return totals
