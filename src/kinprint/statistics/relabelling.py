"""Random relabellings of blocks of units, and what the scores of equal labels then add up to: compiled, with streams of random
numbers that do not depend on the number of threads. What loops work on is allocated outside of them, and a layer at a time
goes in: allocating and looking up compile longer than the loops.

Scores are (pairs, outer blocks, groups, groups, inner blocks, members, members): of every pair of layers, for the units of a
block, how well a place fits a unit. Pairs that share a suspect layer see the same relabelling, and so do pairs whose suspect
layers are copies of each other (`stream`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.compiled import compiled
from kinprint.statistics.permanents import placements

SEED = 0x6B696E7072696E74

STRIDE = np.uint64(0xD1342543DE82EF95)
"""From the random numbers of one block to those of the next."""

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
        j = np.int64(scaled >> np.uint64(56))
        fraction = scaled & np.uint64(0xFFFFFFFFFFFFFF)
        order[i] = order[j]
        order[j] = i
    return state


@compiled()
def _shuffles(orders: Int64s, fractions: NDArray[np.uint64], count: int, state: np.uint64) -> np.uint64:
    """Fill the first `count` rows of orders (size, AHEAD) with the permutations that `_shuffle` gives one after the other.

    Each is a chain of dependent steps: side by side, the processor works on several at a time.
    """
    for lane in range(AHEAD):
        state, bits = _next(state)
        fractions[lane] = bits >> np.uint64(8)
        orders[0, lane] = 0
    for i in range(1, count):
        for lane in range(AHEAD):
            scaled = fractions[lane] * np.uint64(i + 1)
            j = np.int64(scaled >> np.uint64(56))
            fractions[lane] = scaled & np.uint64(0xFFFFFFFFFFFFFF)
            orders[i, lane] = orders[j, lane]
            orders[j, lane] = i
    return state


@compiled()
def _relabelled_units(
    scores: Float64s,
    blocks: int,
    size: int,
    concerned: Int64s,
    counts: Int64s,
    seed: np.uint64,
    totals: Float64s,
    orders: Int64s,
    fractions: NDArray[np.uint64],
    sums: Float64s,
) -> None:
    """Add to totals (pairs, draws) what blocks of single units give; scores are (pairs, blocks, size, size), flat."""
    draws = totals.shape[1]
    for block in range(blocks):
        count, state = counts[block], seed + np.uint64(block) * STRIDE
        if not count:
            continue
        for first in range(0, draws, AHEAD):
            state = _shuffles(orders, fractions, count, state)
            lanes = AHEAD if first + AHEAD < draws else draws - first
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
def _relabelled_groups(
    scores: Float64s,
    blocks: int,
    size: int,
    width: int,
    concerned: Int64s,
    counts: Int64s,
    member_counts: Int64s,
    seed: np.uint64,
    totals: Float64s,
    groups: Int64s,
    members: Int64s,
) -> None:
    """As `_relabelled_units`, of groups of members; scores are (pairs, blocks, size, size, parts, width, width), flat."""
    draws, parts, matrix = totals.shape[1], len(member_counts), width * width
    for block in range(blocks):
        count, state = counts[block], seed + np.uint64(block) * STRIDE
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
                            total += scores[np.uint64(start + member * width + members[member])]
                        totals[pair, draw] += total


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
    totals, flat = np.zeros((len(scores), draws)), scores.reshape(-1)
    blocks, size, parts, width = scores.shape[1], scores.shape[2], scores.shape[4], scores.shape[5]
    for layer in range(len(stream)):
        concerned, counts = np.flatnonzero(suspect_layer == layer), np.ascontiguousarray(group_counts[layer])
        begin = _stream(seed, int(stream[layer]) * blocks)
        if width == 1 and parts == 1:
            memory = np.empty((size, AHEAD), np.int64), np.empty(AHEAD, np.uint64), np.empty(AHEAD)
            _relabelled_units(flat, blocks, size, concerned, counts, begin, totals, *memory)
        else:
            order = np.empty(size, np.int64), np.zeros(width, np.int64)
            _relabelled_groups(flat, blocks, size, width, concerned, counts, member_counts, begin, totals, *order)
    return totals


def _stream(seed: int, block: int) -> np.uint64:
    """Where the random numbers of a block begin."""
    return np.uint64((seed + block * int(STRIDE)) % (1 << 64))


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
    totals, flat = np.zeros((len(scores), chosen.shape[1])), scores.reshape(-1)
    blocks, size, parts, width = scores.shape[1], scores.shape[2], scores.shape[4], scores.shape[5]
    groups, members = np.empty(size, np.int64), np.zeros(width, np.int64)
    logs = np.empty((max(size, width), max(size, width)))
    for layer in range(len(chosen)):
        concerned, counts = np.flatnonzero(suspect_layer == layer), np.ascontiguousarray(group_counts[layer])
        tables = len(concerned) * size * size * parts
        outer = np.empty((len(concerned), size, size)), np.empty((len(concerned), 1 << size))
        inner = np.empty((tables, width, width)), np.empty((tables, 1 << width))
        own, begin = np.searchsorted(concerned, chosen[layer]), _stream(seed, layer * blocks)
        _tilted(
            *(flat, theta, blocks, size, width, concerned, own, counts, member_counts, begin, totals),
            *(groups, members, logs, *outer, *inner),
        )
    return totals


@compiled()
def _tilted(
    scores: Float64s,
    theta: float,
    blocks: int,
    size: int,
    width: int,
    concerned: Int64s,
    own: Int64s,
    counts: Int64s,
    member_counts: Int64s,
    seed: np.uint64,
    totals: Float64s,
    groups: Int64s,
    members: Int64s,
    logs: Float64s,
    outer_entries: Float64s,
    outer_sums: Float64s,
    inner_entries: Float64s,
    inner_sums: Float64s,
) -> None:
    """Add to totals (pairs, draws) what the blocks of a layer give; scores as of `_relabelled_groups`.

    Args:
        concerned: pairs of the layer.
        own: (draws,) which of them is the one that the draw is tilted for.
        groups, members, logs, outer_entries, outer_sums, inner_entries, inner_sums: to work on.
    """
    parts, matrix = len(member_counts), width * width
    for block in range(blocks):
        count, state = counts[block], seed + np.uint64(block) * STRIDE
        if not count:
            continue
        for number in range(len(concerned)):
            pair = concerned[number]
            for g in range(count):
                for h in range(count):
                    total = 0.0
                    for part in range(parts):
                        table = ((number * size + g) * size + h) * parts + part
                        start = ((((pair * blocks + block) * size + g) * size + h) * parts + part) * matrix
                        for i in range(member_counts[part]):
                            for j in range(member_counts[part]):
                                logs[i, j] = theta * scores[np.uint64(start + i * width + j)]
                        total += placements(logs, member_counts[part], inner_entries[table], inner_sums[table])
                    outer_entries[number, g, h] = total
            for g in range(count):
                for h in range(count):
                    logs[g, h] = outer_entries[number, g, h]
            placements(logs, count, outer_entries[number], outer_sums[number])
        for draw in range(len(own)):
            mine = own[draw]
            state = _place(groups, count, outer_entries[mine], outer_sums[mine], state)
            for g in range(count):
                for part in range(parts):
                    table = ((mine * size + g) * size + groups[g]) * parts + part
                    state = _place(members, member_counts[part], inner_entries[table], inner_sums[table], state)
                    here = ((block * size + g) * size + groups[g]) * parts + part
                    for pair in concerned:
                        start = (pair * blocks * size * size * parts + here) * matrix
                        total = 0.0
                        for member in range(member_counts[part]):
                            total += scores[np.uint64(start + member * width + members[member])]
                        totals[pair, draw] += total
