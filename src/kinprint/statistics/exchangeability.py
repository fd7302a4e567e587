"""The test all others are made of: do units agree *by index* more than relabelled units do?

Null hypothesis: given the reference, and given which of the suspect's units share a neighbourhood of labels, who bears which
label inside it is uniformly random (`RelabellingGroup`, `neighbourhoods`), independently from layer to layer except where
layers are copies of each other. Inside a transformer units have no names, so this holds for any two models trained
independently, whatever their architecture, data and recipe have in common; and it forgives habits of labelling that they share:
sorted, nested or padded units, alternation, periods (METHODS: labels that carry an order).

Statistic: the sum over paired layers of the scores of units with equal labels (Hoeffding's combinatorial statistic), for
the ascending pairing of layers that makes it largest. The same search is part of the null distribution. The model of fewer
layers is the one that is relabelled; of two of equal depth either gives the same.

p-value: Monte Carlo over relabellings, importance sampling from tilted relabellings, and Chernoff's bound with the exact moment
generating function (permanents), joined by `tails`. All are taken in the subgroup of relabellings that stay inside the blocks.
Related: Zhu et al., Independence Tests for Language Models, ICML 2025; Chatterjee, Stein's method for concentration
inequalities, 2007 (another bound for the same statistic).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln

from kinprint.arrays import Float64s, Int64s
from kinprint.statistics import alignment, tails
from kinprint.statistics.copies import clones, linked_layers
from kinprint.statistics.divided import log_permanents, relabelled, tilted
from kinprint.statistics.neighbourhoods import Neighbours
from kinprint.statistics.normal_scores import whiten
from kinprint.statistics.order import without_order
from kinprint.statistics.relabelling import SEED
from kinprint.statistics.relabelling_group import RelabellingGroup

BUDGET = 1 << 13
"""Blocks looked at, over all pairs of layers; wide layers of deep models are thinned to an even subset of units."""

BLOCKS_OF_A_PAIR = 64
"""Blocks looked at where single layers are tested: 512 neurons."""


@dataclass(frozen=True)
class ExchangeabilityResult:
    """What `exchangeability_test` found.

    Attributes:
        z: the statistic less its mean under the null, in standard deviations under the null.
        log10_p: one-sided p-value.
        bound: True if log10_p is a rigorous upper bound, False if it is a Monte Carlo p-value.
        layer_map: reference layer of each suspect layer.
        layers: z of each suspect layer paired as the map says, without regard to the search.
        resolution: correlation of units with equal labels that moves the statistic by one standard deviation, or NaN where
            scores are not correlations.
        order: whether an order that the reference's layers share by label was taken out.
        copies: layers of the model that was relabelled that are copies of others of it.
    """

    z: float
    log10_p: float
    bound: bool
    layer_map: tuple[int, ...]
    layers: tuple[float, ...]
    resolution: float
    order: bool = False
    copies: int = 0


def blocks_of_each(layers: tuple[int, int]) -> int:
    """Blocks that a test looks at in each pair of layers of two models of so many."""
    return max(BUDGET // int(alignment.admissible(max(layers), min(layers)).sum()), 1)


def exchangeability_test(
    reference: Float64s, suspect: Float64s, structure: RelabellingGroup, neighbours: Neighbours | None = None
) -> ExchangeabilityResult:
    """Test units described by features.

    Args:
        reference, suspect: (layers, units, features) normal scores (`normal_scores`) of equal units and features; a row of NaN
            is no unit, a zero row one of which nothing is known. The numbers of layers may differ.
        structure: how the units may be relabelled.
        neighbours: which units these are, if they were chosen among more that are no clones: `blocks_of_each` blocks of them.

    Raises:
        ValueError: if shapes disagree.
    """
    if reference.shape[1:] != suspect.shape[1:] or reference.shape[1] != structure.units:
        raise ValueError(f"features {reference.shape} and {suspect.shape} do not fit {structure}")
    exchanged = _first(suspect, reference)
    given, relabelled_side = (suspect, reference) if exchanged else (reference, suspect)
    if neighbours is None:
        given, relabelled_side, structure = _originals(given, relabelled_side, structure)
    layers = len(given), len(relabelled_side)
    pairs, most = np.argwhere(alignment.admissible(*layers)), blocks_of_each(layers)
    by_group = np.nan_to_num(relabelled_side).reshape(layers[1], structure.groups, -1)
    linked = linked_layers(by_group, most, neighbours=neighbours)
    ours, theirs, outer, ordered = _in_blocks(given, relabelled_side, structure, pairs, most, neighbours)
    scores = np.stack(
        [np.einsum("agjcf,ahjdf->aghjcd", own, theirs[j], optimize=True) for own, (_, j) in zip(ours, pairs, strict=True)]
    )
    problem = Problem(scores, pairs, outer, structure.inner(), layers, linked)
    result = problem.result(exchanged=exchanged)
    sizes = {(i, j): np.linalg.norm(own) * np.linalg.norm(theirs[j]) for own, (i, j) in zip(ours, pairs.tolist(), strict=True)}
    power = sum(sizes.get((j, i) if exchanged else (i, j), 0.0) for j, i in enumerate(result.layer_map))
    return replace(
        result,
        resolution=float(problem.spread / power) if power else math.nan,
        order=ordered,
        copies=len(linked) - len(set(linked.tolist())),
    )


def single_layer_tests(
    reference: Float64s,
    suspect: Float64s,
    structure: RelabellingGroup,
    pairs: Sequence[tuple[int, int]],
    neighbours: Neighbours | None = None,
) -> list[ExchangeabilityResult]:
    """The same question about one layer of either model, for each of some pairs of layers.

    Null hypothesis: that of `exchangeability_test` about the suspect's layer of the pair alone, given all its other layers,
    whatever these share with the reference. Each p-value stands for itself: who picks pairs by looking at labels corrects for
    all that were looked at.

    Args:
        pairs: (reference layer, suspect layer).
        reference, suspect, structure, neighbours: as of `exchangeability_test`.
    """
    if neighbours is None:
        reference, suspect, structure = _originals(reference, suspect, structure)
    numbers, inner = np.array(pairs, dtype=np.int64).reshape(-1, 2), structure.inner()
    ours, theirs, outer, ordered = _in_blocks(reference, suspect, structure, numbers, BLOCKS_OF_A_PAIR, neighbours)
    found = []
    for own, (_, j) in zip(ours, numbers.tolist(), strict=True):
        scores = np.einsum("agjcf,ahjdf->aghjcd", own, theirs[j], optimize=True)
        alone = Problem(scores[None], np.zeros((1, 2), np.int64), outer[j][None], inner, (1, 1), np.zeros(1, np.int64))
        found.append(replace(alone.result(), order=ordered))
    return found


def _in_blocks(
    given: Float64s,
    relabelled_side: Float64s,
    structure: RelabellingGroup,
    pairs: Int64s,
    most: int,
    chosen: Neighbours | None,
) -> tuple[list[Float64s], list[Float64s], Int64s, bool]:
    """Decorrelated scores of both sides in the blocks of the relabelled one, the given side freed of what its labels may mean.

    Returns:
        of every pair of layers the given side, of every relabelled layer that side, (outer blocks, groups, inner blocks,
        members, features) each; (layers, outer blocks, groups) which groups; whether an order of these layers was taken out.
    """
    x, y = (_by_group(whiten(side), structure) for side in (given, relabelled_side))
    plain = _by_group(np.nan_to_num(given), structure)
    neighbours = [_neighbours(layer, most, chosen) for layer in y]
    x, y, inner = np.nan_to_num(x), np.nan_to_num(y), structure.inner()
    freed: dict[bytes, tuple[Float64s, bool]] = {}  # layers mostly have the same units
    for labels, blocks in neighbours:
        if labels.tobytes() not in freed:
            freed[labels.tobytes()] = without_order(x[:, labels], blocks, plain[:, labels])
    outer = _stacked([blocks.grid for _, blocks in neighbours])
    ours = [_gathered(freed[neighbours[j][0].tobytes()][0][i], outer[j], inner) for i, j in pairs]
    theirs = [_gathered(y[j, labels], outer[j], inner) for j, (labels, _) in enumerate(neighbours)]
    return ours, theirs, outer, any(ordered for _, ordered in freed.values())


def exchangeability_test_of_scores(
    score: Callable[[int, int, Int64s], Float64s], layers: tuple[int, int], units: int
) -> ExchangeabilityResult:
    """Test units of which only pairwise scores are known.

    Args:
        score: of (reference layer, suspect layer, blocks), gives (blocks, size, size): how well position i of a block fits the
            suspect unit labelled j of it. The blocks (blocks, size) hold the labels that are exchanged, -1 pads; what is said
            of those counts for nothing. Must not look at the suspect's labels beyond that: relabelling units inside blocks may
            only permute the columns.
        layers: numbers of layers of the reference and of the suspect, which may not have more.
        units: number of units that are relabelled.
    """
    pairs = np.argwhere(alignment.admissible(*layers))
    chosen = Neighbours.of(units, blocks_of_each(layers))
    outer = np.where(chosen.grid >= 0, chosen.labels[chosen.grid], -1)
    known = (outer >= 0)[:, :, None] & (outer >= 0)[:, None, :]
    scores = np.stack([np.where(known, score(i, j, outer), 0.0) for i, j in pairs.tolist()])
    grids = np.broadcast_to(outer, (layers[1], *outer.shape))
    return Problem(
        scores[..., None, None, None], pairs, grids, RelabellingGroup(units).inner(), layers, np.arange(layers[1])
    ).result()


def partners_test(
    reference: Float64s, suspect: Float64s, structure: RelabellingGroup, tolerance: float
) -> ExchangeabilityResult:
    """Do units that were matched agree more than they would with each other's partners?

    Null hypothesis: given which layers and which units are compared, who is whose partner is uniformly random
    (`RelabellingGroup`). It is approximate where the matching knew something of the features, so that a correlation of
    `tolerance` between the features of partners is taken as nothing.

    Args:
        reference, suspect: (layers, units, features) of mean square 1, partners side by side; a row of NaN is no unit.
        structure: how partners may be exchanged.
    """
    layers, width = len(suspect), suspect.shape[-1]
    absent = ~(np.isfinite(reference).all(-1, keepdims=True) & np.isfinite(suspect).all(-1, keepdims=True))
    x, y = (_by_group(np.where(absent, np.nan, side), structure) for side in (reference, suspect))
    chosen = [_neighbours(layer, max(BUDGET // layers, 1)) for layer in y]
    outer, inner = _stacked([blocks.grid for _, blocks in chosen]), structure.inner()
    ours, theirs = (
        np.stack([_gathered(layer[there], grid, inner) for layer, (there, _), grid in zip(side, chosen, outer, strict=True)])
        for side in (x, y)
    )
    scores = np.einsum("pagjcf,pahjdf->paghjcd", ours, theirs, optimize=True)
    partners = np.einsum("paggjcc->pagjc", scores)  # a view
    partners -= tolerance * width * theirs.any(axis=-1)
    pairs = np.repeat(np.arange(layers)[:, None], 2, axis=1)
    problem = Problem(scores, pairs, outer, inner, (layers, layers), np.arange(layers))
    result = problem.result()
    power = sum(float(np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(ours, theirs, strict=True))
    return replace(result, resolution=problem.spread / power if power else math.nan)


def _first(one: Float64s, other: Float64s) -> bool:
    """Whether `one` is the side that is given: the deeper model; of two equally deep ones either, but always the same."""
    return len(one) > len(other) or (len(one) == len(other) and one.tobytes() > other.tobytes())


def _originals(x: Float64s, y: Float64s, structure: RelabellingGroup) -> tuple[Float64s, Float64s, RelabellingGroup]:
    """Clones of the relabelled side as one unit with the features of all: they share one label under the null hypothesis."""
    groups = clones(y.reshape(len(y), structure.groups, -1))
    if groups is None:
        return x, y, structure
    joined = RelabellingGroup(len(groups), structure.members)

    def together(side: Float64s) -> Float64s:
        copies = side.reshape(len(side), structure.groups, structure.members, -1)[:, groups]
        return np.moveaxis(copies, 2, 3).reshape(len(side), joined.units, -1)

    return together(x), together(y), joined


def _by_group(scores: Float64s, structure: RelabellingGroup) -> Float64s:
    """(layers, groups, members, features)."""
    return scores.reshape(len(scores), structure.groups, structure.members, -1)


def _neighbours(layer: Float64s, most: int, chosen: Neighbours | None = None) -> tuple[Int64s, Neighbours]:
    """Of the groups of a layer that are there, every member of them, those that are looked at; and these in blocks."""
    there: NDArray[np.bool_] = np.asarray(np.isfinite(layer).all(axis=(1, 2)))
    if chosen is not None:
        return np.flatnonzero(there), chosen.present(there)
    neighbours = Neighbours.of(int(there.sum()), most)
    return np.flatnonzero(there)[neighbours.labels], neighbours


def _stacked(grids: list[Int64s]) -> Int64s:
    """(layers, blocks, size), padded with -1."""
    stack = np.full((len(grids), max(map(len, grids)), max(grid.shape[1] for grid in grids)), -1, dtype=np.int64)
    for row, grid in zip(stack, grids, strict=True):
        row[: len(grid), : grid.shape[1]] = grid
    return stack


def _gathered(layer: Float64s, grid: Int64s, inner: Int64s) -> Float64s:
    """(groups, members, features) -> (outer blocks, groups, inner blocks, members, features), zero where a block is short."""
    known = (grid[:, :, None, None] >= 0) & (inner >= 0)
    if not len(layer):  # no unit is there
        return np.zeros((*known.shape, layer.shape[-1]))
    return np.where(known[..., None], layer[grid[:, :, None, None], inner], 0.0)


@dataclass(frozen=True)
class Problem:
    """Scores of units in blocks, and how these may be relabelled.

    Attributes:
        scores: (pairs, outer blocks, groups, groups, inner blocks, members, members), zero where a block is short.
        pairs: (pairs, 2) reference and suspect layer.
        outer: (suspect layers, outer blocks, groups) which groups, -1 where short.
        inner: (inner blocks, members) which members of a group, -1 where short.
        layers: numbers of layers, of which the suspect has no more.
        linked: (suspect layers,) equal numbers for layers that share their relabelling.
    """

    scores: Float64s
    pairs: Int64s
    outer: Int64s
    inner: Int64s
    layers: tuple[int, int]
    linked: Int64s

    @cached_property
    def group_counts(self) -> Int64s:
        """(suspect layers, outer blocks)."""
        return np.asarray((self.outer >= 0).sum(-1))

    @cached_property
    def member_counts(self) -> Int64s:
        return np.asarray((self.inner >= 0).sum(-1))

    @cached_property
    def mean(self) -> Float64s:
        """(pairs,) of the total under the null hypothesis."""
        counts = np.maximum(self.group_counts[self.pairs[:, 1]], 1)
        inside = (self.scores.sum((-1, -2)) / self.member_counts).sum((-1, -2, -3))
        return np.asarray((inside / counts).sum(-1))

    @cached_property
    def equal_labels(self) -> Float64s:
        """(pairs,) totals of equal labels, less their mean."""
        return np.asarray(np.einsum("paggjcc->p", self.scores) - self.mean)

    @cached_property
    def drawn(self) -> Float64s:
        """(pairs, DRAWS) totals of random relabellings, less their mean."""
        streams = np.unique(self.linked, return_index=True)[1][np.unique(self.linked, return_inverse=True)[1]]
        counts = self.group_counts, self.member_counts
        totals: Float64s = relabelled(self.scores, self.pairs[:, 1], streams, *counts, tails.DRAWS, SEED)
        return totals - self.mean[:, None]

    def table(self, values: Float64s) -> Float64s:
        """(pairs, ...) -> (..., reference layers, suspect layers)."""
        full = np.full((*values.shape[1:], *self.layers), -np.inf)
        full[..., self.pairs[:, 0], self.pairs[:, 1]] = np.moveaxis(values, 0, -1)
        return full

    @cached_property
    def total(self) -> float:
        return float(alignment.best_total(self.table(self.equal_labels)))

    @cached_property
    def null(self) -> Float64s:
        """(DRAWS,) what the search finds among relabelled units."""
        return alignment.best_total(self.table(self.drawn))

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the statistic under the null hypothesis."""
        return float(self.null.std()) or math.inf

    @cached_property
    def margin(self) -> float:
        """Rounding below which two totals count as equal."""
        return 1e-9 * max(abs(self.total), self.spread if math.isfinite(self.spread) else 1.0)

    def result(self, *, exchanged: bool = False) -> ExchangeabilityResult:
        """The test; `exchanged` where what is called the suspect here is the reference of the caller."""
        exceeding = int(np.sum(self.null >= self.total - self.margin))
        alone = len(set(self.linked.tolist())) == len(self.linked)
        tail = tails.p_value(exceeding, self.log10_bound, self.log_weights if alone else None)
        table = self.table(self.equal_labels)
        each = self.table(self.equal_labels / np.maximum(self.drawn.std(axis=1), 1e-300))
        if exchanged:
            table, each = table.T, each.T
        layer_map = alignment.best_map(table, repeats=exchanged and self.layers[0] > self.layers[1])
        return ExchangeabilityResult(
            z=(self.total - float(self.null.mean())) / self.spread,
            log10_p=tail.log10_p,
            bound=tail.bound,
            layer_map=layer_map,
            layers=tuple(float(each[i, j]) for j, i in enumerate(layer_map)),
            resolution=math.nan,
        )

    def log_moments(self, theta: float, every: int = 1) -> Float64s:
        """(pairs,) log E[exp(theta (total - mean))] of each pair of layers, by every so many blocks.

        Of m layers that share their relabelling, (1/m) log E[exp(m theta ...)]: by Hoelder's inequality, added up over layers
        that is no less than the logarithm for all of them, and it is equal where they are copies.
        """
        shared = np.bincount(self.linked)[self.linked][self.pairs[:, 1]]
        logs = np.empty(len(self.pairs))
        for m in np.unique(shared):
            here = shared == m
            outer = self.outer[self.pairs[here, 1], ::every]
            kept = len(self.outer[0]) / outer.shape[1]
            logs[here] = kept * log_mean_exp(m * theta * self.scores[here, ::every], outer, self.inner) / m
        return logs - theta * self.mean

    def log10_bound(self) -> float:
        """Chernoff: log P(T >= t) <= log sum over maps of E[exp(theta T_map)] - theta t, for any theta >= 0."""

        def log_bound(theta: float, every: int = 1) -> float:
            return float(alignment.log_sum(self.table(self.log_moments(theta, every)))) - theta * self.total

        guess = (self.total - float(self.null.mean())) / self.spread**2
        if not guess > 0:
            return 0.0
        search = minimize_scalar(
            lambda u: log_bound(guess * math.exp(u), self._coarse),
            bounds=(-2.0, 3.5),
            method="bounded",
            options={"maxiter": 20},
        )
        return min(log_bound(guess * math.exp(search.x)) / math.log(10), 0.0)

    @property
    def _coarse(self) -> int:
        """One block in so many tells enough to choose theta."""
        return max(len(self.pairs) * len(self.outer[0]) // 1024, 1)

    def log_weights(self) -> tuple[float, Float64s]:
        """log dP/dQ of the units as they are and of TILTED draws from Q, -inf where their statistic is less.

        Q mixes, over the two thetas of `_thetas` and over all maps, the relabellings drawn with probability proportional to
        exp(theta T_map): dQ/dP = mean over thetas of sum over maps of exp(theta T_map) / sum over maps of E[exp(theta T_map)].
        """
        drawn = [
            self._tilted(theta, count, seed)
            for seed, (theta, count) in enumerate(zip(self._thetas, tails.shares(SEED), strict=True))
        ]
        totals = np.concatenate([self.equal_labels[:, None], *drawn], axis=1)
        ratios = [
            alignment.log_sum(self.table(theta * totals)) - alignment.log_sum(self.table(self.log_moments(theta)))
            for theta in self._thetas
        ]
        weights = -(np.logaddexp.reduce(np.array(ratios), axis=0) - math.log(len(ratios)))
        reached = alignment.best_total(self.table(totals)) >= self.total - self.margin
        return float(weights[0]), np.where(reached, weights, -np.inf)[1:]

    def _tilted(self, theta: float, draws: int, seed: int) -> Float64s:
        """(pairs, draws) totals less their mean, drawn from Q at one theta."""
        maps = alignment.drawn_maps(self.table(self.log_moments(theta)), draws, seed)
        number = np.full(self.layers, -1)
        number[self.pairs[:, 0], self.pairs[:, 1]] = np.arange(len(self.pairs))
        chosen = number[maps, np.arange(self.layers[1])[:, None]]
        counts = self.group_counts, self.member_counts
        totals: Float64s = tilted(self.scores, theta, self.pairs[:, 1], chosen, *counts, SEED + 1 + seed)
        return totals - self.mean[:, None]

    @cached_property
    def _thetas(self) -> tuple[float, ...]:
        """Where Chernoff's bound at the tilted mean is 10^-RATE: the same however units are relabelled."""

        def log_sum(theta: float) -> float:
            return float(alignment.log_sum(self.table(self.log_moments(theta, self._coarse))))

        def rate(u: float) -> float:
            theta, step = math.exp(u), 1e-3
            low, high = log_sum(theta * (1 - step)), log_sum(theta * (1 + step))
            return ((high - low) / (2 * step) - (low + high) / 2) / math.log(10)

        middle = math.log(3.0 / self.spread)
        return tuple(
            math.exp(brentq(lambda u, r=rate_: rate(u) - r, middle - 3, middle + 4, xtol=0.05))
            if rate(middle + 4) > rate_ > rate(middle - 3)
            else math.exp(middle)
            for rate_ in tails.RATES
        )


def log_mean_exp(scaled: Float64s, outer: Int64s, inner: Int64s) -> Float64s:
    """log E[exp(sum of scores of equal labels)] of each pair of layers over all relabellings inside the blocks, exactly.

    Args:
        scaled: (pairs, outer blocks, groups, groups, inner blocks, members, members) scores times theta.
        outer: (pairs or 1, outer blocks, groups) the blocks of groups, -1 where short; inner: (inner blocks, members).
    """
    members = _log_mean_permanent(scaled, inner)
    return np.asarray(_log_mean_permanent(members.sum(-1), outer).sum(-1))


def _log_mean_permanent(logs: Float64s, grid: Int64s) -> Float64s:
    """log(perm(exp(logs)) / n!) over the last two axes; the axes before them run over `grid`, n is a block's size."""
    n = logs.shape[-1]
    if n == 1:
        return np.where(grid[..., 0] >= 0, logs[..., 0, 0], 0.0)
    flat = log_permanents(np.ascontiguousarray((logs + _padding(grid)).reshape(-1, n, n)))
    logs_of_means: Float64s = flat.reshape(logs.shape[:-2]) - gammaln((grid >= 0).sum(-1) + 1)
    return logs_of_means


def _padding(grid: Int64s) -> Float64s:
    """(..., n, n) to add to logarithms: missing units may only be paired with themselves, which changes no permanent."""
    known = grid >= 0
    free = known[..., :, None] & known[..., None, :]
    itself = ~known[..., :, None] & np.eye(grid.shape[-1], dtype=bool)
    return np.where(free | itself, 0.0, -np.inf)
