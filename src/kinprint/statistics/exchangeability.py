"""The test all others are made of: do units agree *by index* more than relabelled units do?

Null hypothesis: given the reference, the labels of the suspect's units in each layer are a uniformly random relabelling
(`Structure`), independent from layer to layer. Inside a transformer units have no names, so this holds for any two models
trained independently, whatever their architecture, data and recipe have in common (METHODS: exchangeability tests).

Statistic: the sum over paired layers of the scores of units with equal labels (Hoeffding's combinatorial statistic), for
the pairing of layers that makes it largest. The same search is part of the null distribution.

p-value: exact by Monte Carlo over relabellings, as far as that reaches; beyond, Chernoff's bound with the exact moment
generating function (permanents), which is rigorous: the true p-value is never larger. Both are taken in the subgroup of
relabellings that stay inside small blocks of units, conditional on who shares a block.
Related: Zhu et al., Independence Tests for Language Models, ICML 2025; Chatterjee, Stein's method for concentration
inequalities, 2007 (another bound for the same statistic).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from kinprint.compiled import compiled
from kinprint.statistics import alignment
from kinprint.statistics.permanents import log_permanents
from kinprint.statistics.structure import Structure

Array = NDArray[np.float64]

DRAWS = 999
"""Relabellings drawn; the smallest Monte Carlo p-value is 1 / (DRAWS + 1)."""

BOUND_FROM = 1e-6
"""The bound takes over where it is at most this. Adding it to every Monte Carlo p-value pays for having two ways to reject:
P(p <= x) <= P(bound <= BOUND_FROM) + P(Monte Carlo <= x - BOUND_FROM) <= x."""

BUDGET = 1 << 13
"""Blocks looked at, over all pairs of layers; wide layers of deep models are thinned to an even subset of units."""

SEED = 0x6B696E7072696E74


@dataclass(frozen=True)
class Result:
    """What `exchangeability_test` found.

    Attributes:
        z: the statistic less its mean under the null, in standard deviations under the null.
        log10_p: one-sided p-value.
        bound: True if log10_p is a rigorous upper bound, False if it is the Monte Carlo p-value itself.
        layer_map: reference layer of each suspect layer.
        layers: z of each suspect layer paired as the map says, without regard to the search.
        detectable: smallest correlation of units with equal labels that the test had a fair (50 %) chance to call
            significant at 1e-6, or NaN where scores are not correlations.
    """

    z: float
    log10_p: float
    bound: bool
    layer_map: tuple[int, ...]
    layers: tuple[float, ...]
    detectable: float


def exchangeability_test(reference: Array, suspect: Array, structure: Structure) -> Result:
    """Test units described by features.

    Args:
        reference, suspect: (layers, units, features) label-free scores (`label_free_scores`) of equal units and features;
            a zero row says nothing is known. The numbers of layers may differ.
        structure: how the units may be relabelled.

    Raises:
        ValueError: if shapes disagree.
    """
    if reference.shape[1:] != suspect.shape[1:] or reference.shape[1] != structure.units:
        raise ValueError(f"features {reference.shape} and {suspect.shape} do not fit {structure}")
    repeats = len(suspect) > len(reference)
    pairs = np.argwhere(alignment.admissible(len(reference), len(suspect)))
    outer = _within_budget(structure.outer(), len(pairs))
    units = _unit_grid(structure, outer)
    x, y = (_gather(features, units) for features in (reference, suspect))
    scores = np.stack([np.einsum("agjcf,ahjdf->aghjcd", x[i], y[j], optimize=True) for i, j in pairs])
    result, spread = _test(scores, pairs, outer, structure.inner(), (len(reference), len(suspect)), repeats)
    power = sum(np.sum(x[i] ** 2) ** 0.5 * np.sum(y[j] ** 2) ** 0.5 for j, i in enumerate(result.layer_map))
    return result if not power else replace(result, detectable=4.753 * spread / power)


def exchangeability_test_of_scores(score: Callable[[int, int], Array], layers: tuple[int, int], units: int) -> Result:
    """Test units of which only pairwise scores are known.

    Args:
        score: of (reference layer, suspect layer), gives (units, units): how well position i fits the suspect unit labelled
            j. Must not look at the suspect's labels: relabelling its units may only permute the columns.
        layers: numbers of layers of the reference and of the suspect.
        units: number of units that are relabelled.
    """
    pairs = np.argwhere(alignment.admissible(*layers))
    structure = Structure(units)
    outer = _within_budget(structure.outer(), len(pairs))
    rows, columns = outer[:, :, None], outer[:, None, :]
    known = (rows >= 0) & (columns >= 0)
    blocks = np.stack([np.where(known, score(i, j)[rows, columns], 0.0) for i, j in pairs])
    return _test(blocks[..., None, None, None], pairs, outer, structure.inner(), layers, layers[1] > layers[0])[0]


def _within_budget(outer: NDArray[np.int64], pairs: int) -> NDArray[np.int64]:
    """An even subset of the blocks, so that all pairs of layers together stay within BUDGET."""
    affordable = max(BUDGET // pairs, 1)
    return outer if len(outer) <= affordable else outer[np.linspace(0, len(outer) - 1, affordable).astype(int)]


def _unit_grid(structure: Structure, outer: NDArray[np.int64]) -> NDArray[np.int64]:
    """(outer blocks, groups, inner blocks, members) indices of units, -1 where a block is short."""
    inner = structure.inner()
    grid = outer[:, :, None, None] * structure.members + inner
    return np.where((outer[:, :, None, None] >= 0) & (inner >= 0), grid, -1)


def _gather(features: Array, units: NDArray[np.int64]) -> Array:
    """(layers, outer blocks, groups, inner blocks, members, features), zero where a block is short."""
    return np.where(units[None, ..., None] >= 0, features[:, units], 0.0)


def _padding(blocks: NDArray[np.int64]) -> Array:
    """(blocks, n, n) to add to logarithms: missing units may only be paired with themselves, which changes no permanent."""
    known = blocks >= 0
    free = known[:, :, None] & known[:, None, :]
    itself = ~known[:, :, None] & np.eye(blocks.shape[1], dtype=bool)
    return np.where(free | itself, 0.0, -np.inf)


def _test(
    scores: Array,
    pairs: NDArray[np.int64],
    outer: NDArray[np.int64],
    inner: NDArray[np.int64],
    layers: tuple[int, int],
    repeats: bool,
) -> tuple[Result, float]:
    """The test on block scores (pairs, outer blocks, groups, groups, inner blocks, members, members).

    Returns the result, its `detectable` open, and the standard deviation of the statistic under the null.
    """
    group_counts, member_counts = (outer >= 0).sum(1), (inner >= 0).sum(1)
    mean = ((scores.sum((-1, -2)) / member_counts).sum((-1, -2, -3)) / group_counts).sum(-1)
    equal_labels = np.einsum("paggjcc->p", scores) - mean
    drawn = _relabelled(scores, pairs[:, 1], group_counts, member_counts, layers[1], DRAWS, SEED) - mean[:, None]

    def table(values: Array) -> Array:
        """(pairs, ...) -> (..., reference layers, suspect layers)."""
        full = np.full((*values.shape[1:], *layers), -np.inf)
        full[..., pairs[:, 0], pairs[:, 1]] = np.moveaxis(values, 0, -1)
        return full

    total = float(alignment.best_total(table(equal_labels), repeats))
    null = alignment.best_total(table(drawn), repeats)
    spread = float(null.std()) or math.inf
    exceeding = int(np.sum(null >= total - 1e-9 * max(abs(total), spread if math.isfinite(spread) else 1.0)))
    log10_p, bound = math.log10(min((exceeding + 1) / (DRAWS + 1) + BOUND_FROM, 1.0)), False
    if not exceeding:

        def log_bound(theta: float, every: int = 1) -> float:
            """Chernoff: log P(T >= total) <= log sum over maps of E[exp(theta T_map)] - theta total, for any theta >= 0."""
            chosen = slice(None, None, every)
            logs = log_mean_exp(theta * scores[:, chosen], outer[chosen], inner) * (len(outer) / len(outer[chosen]))
            return alignment.log_sum(table(logs - theta * mean), repeats) - theta * total

        coarse = max(len(pairs) * len(outer) // 1024, 1)
        guess = (total - float(null.mean())) / spread**2
        search = minimize_scalar(
            lambda u: log_bound(guess * math.exp(u), coarse), bounds=(-2.0, 3.5), method="bounded", options={"maxiter": 20}
        )
        rigorous = log_bound(guess * math.exp(search.x)) / math.log(10)
        if rigorous <= math.log10(BOUND_FROM):
            log10_p, bound = rigorous, True

    layer_map = alignment.best_map(table(equal_labels), repeats)
    each = table(equal_labels / np.maximum(drawn.std(axis=1), 1e-300))
    return (
        Result(
            z=(total - float(null.mean())) / spread,
            log10_p=log10_p,
            bound=bound,
            layer_map=layer_map,
            layers=tuple(float(each[i, j]) for j, i in enumerate(layer_map)),
            detectable=math.nan,
        ),
        spread,
    )


def log_mean_exp(scaled: Array, outer: NDArray[np.int64], inner: NDArray[np.int64]) -> Array:
    """log E[exp(sum of scores of equal labels)] of each pair of layers over all relabellings inside the blocks, exactly.

    Args:
        scaled: (pairs, outer blocks, groups, groups, inner blocks, members, members) scores times theta.
        outer, inner: the blocks, -1 where short.
    """
    members = _log_mean_permanent(scaled, inner)
    return np.asarray(_log_mean_permanent(members.sum(-1), outer).sum(-1))


def _log_mean_permanent(logs: Array, blocks: NDArray[np.int64]) -> Array:
    """log(perm(exp(logs)) / n!) over the last two axes; the axis before them runs over `blocks`, n is a block's size."""
    n = logs.shape[-1]
    if n == 1:
        return np.asarray(logs[..., 0, 0])
    flat = log_permanents(np.ascontiguousarray((logs + _padding(blocks)).reshape(-1, n, n)))
    logs_of_means: Array = flat.reshape(logs.shape[:-2]) - gammaln((blocks >= 0).sum(1) + 1)
    return logs_of_means


@compiled()
def _next(state: np.uint64) -> tuple[np.uint64, np.uint64]:
    """SplitMix64: the next state and 64 random bits of it (Steele, Lea and Flood, 2014)."""
    state += np.uint64(0x9E3779B97F4A7C15)
    bits = state
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, bits ^ (bits >> np.uint64(31))


@compiled()
def _shuffle(order: NDArray[np.int64], count: int, state: np.uint64) -> np.uint64:
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


@compiled(parallel=True)
def _relabelled(
    scores: Array,
    suspect_layer: NDArray[np.int64],
    group_counts: NDArray[np.int64],
    member_counts: NDArray[np.int64],
    suspect_layers: int,
    draws: int,
    seed: int,
) -> Array:
    """(pairs, draws) totals under random relabellings; pairs that share a suspect layer see the same relabelling.

    Every (suspect layer, block) has a random stream of its own, so the draws do not depend on the number of threads.
    """
    totals = np.zeros((len(scores), draws))
    blocks, size, parts, width = scores.shape[1], scores.shape[2], scores.shape[4], scores.shape[5]
    matrix = width * width
    flat = scores.ravel()
    for layer in prange(suspect_layers):
        concerned = np.flatnonzero(suspect_layer == layer)
        groups = np.empty(size, dtype=np.int64)
        members = np.zeros(width, dtype=np.int64)
        for block in range(blocks):
            state = np.uint64(seed) + np.uint64(layer * blocks + block) * np.uint64(0xD1342543DE82EF95)
            for draw in range(draws):
                state = _shuffle(groups, group_counts[block], state)
                for group in range(group_counts[block]):
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
