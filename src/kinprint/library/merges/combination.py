"""The smallest affine combination of models that explains another: weighted least squares on common columns.

    y = sum_i c_i x_i + remainder,  sum_i c_i = 1

which is every weighted mean (coefficients between 0 and 1) and every sum of task vectors (base + sum_i c_i (x_i - base), the
base with what is missing to 1). Columns are weighted by the inverse of the remainder's variance in their tensor (feasible
generalised least squares). Errors and p-values come from sums over residual channels (the sandwich of Liang and Zeger 1986,
with Student's t for as many clusters, Cameron and Miller 2015, section VI): entries of one channel may depend on each other
as they like.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s, Int64s
from kinprint.library.merges.sampled_entries import EntryPlaces
from kinprint.statistics import bonferroni
from kinprint.statistics.half_remainder import HALF, half_test, student_log10_p

ROUNDS = 3
"""Of estimating variances and fitting again."""

MOST = 8
"""Models of one combination."""


@dataclass(frozen=True)
class Data:
    """What a combination is sought in.

    Attributes:
        y: (columns,) the suspect.
        x: (models, columns) the candidates; NaN where a model has no such entry.
        places: where the columns come from.
        spacing: (columns,) distance of neighbouring numbers of the suspect's type.
    """

    y: Float64s
    x: Float64s
    places: EntryPlaces
    spacing: Float64s

    def usable(self, chosen: Sequence[int]) -> NDArray[np.bool_]:
        """(columns,) whether the suspect and all chosen models have the entry."""
        return np.asarray(np.isfinite(self.y) & np.isfinite(self.x[list(chosen)]).all(axis=0))

    @property
    def rounding(self) -> Float64s:
        """(columns,) variance of one rounding, spacing^2 / 12."""
        return np.asarray(self.spacing**2 / 12)


@dataclass(frozen=True)
class Fit:
    """An affine combination.

    Attributes:
        chosen: rows of `Data.x`.
        coefficients, errors: (chosen,) and their standard errors; the coefficients sum to one.
        remainder: (columns,) what is not explained; NaN where a model lacks the entry.
        weights: (columns,) of the columns; 0 where a model lacks the entry.
    """

    chosen: tuple[int, ...]
    coefficients: Float64s
    errors: Float64s
    remainder: Float64s
    weights: Float64s

    @property
    def size(self) -> float:
        """Weighted mean square of the remainder."""
        kept = self.weights > 0
        return float(np.sum(self.weights[kept] * self.remainder[kept] ** 2) / np.sum(self.weights[kept]))


def fit(data: Data, chosen: Sequence[int]) -> Fit:
    """The best affine combination of the chosen models."""
    kept = data.usable(chosen)
    first, differences = data.x[chosen[0], kept], data.x[list(chosen[1:])][:, kept]
    y, x = data.y[kept] - first, (differences - first).T
    tensor, cluster = data.places.tensor[kept], clusters(data.places)[kept]
    floor = data.rounding[kept]
    weights = inverse_variance(y, tensor, floor)
    slopes = np.zeros(len(chosen) - 1)
    for _ in range(ROUNDS):
        slopes = np.linalg.lstsq(x * np.sqrt(weights)[:, None], y * np.sqrt(weights), rcond=None)[0]
        weights = inverse_variance(y - x @ slopes, tensor, floor)
    remainder = y - x @ slopes
    covariance = sandwich(x, weights, remainder, cluster)
    turn = np.vstack([-np.ones(len(slopes)), np.eye(len(slopes))])  # the first coefficient is one less the others
    spread = turn @ covariance @ turn.T
    whole, all_weights = np.full(len(data.y), np.nan), np.zeros(len(data.y))
    whole[kept], all_weights[kept] = remainder, weights
    coefficients = np.concatenate([[1 - slopes.sum()], slopes])
    return Fit(tuple(chosen), coefficients, np.sqrt(np.maximum(np.diag(spread), 0)), whole, all_weights)


def rounding_bias(data: Data, chosen: Sequence[int], coefficients: Float64s) -> Float64s:
    """(chosen,) by how much rounding to the suspect's type alone moves coefficients: a sum with known ones, rounded and fitted.

    Where models differ by few spacings, rounding is not random: it takes the sum to one of them (parametric bootstrap, Efron
    and Tibshirani 1993, section 6.5).
    """
    total = coefficients @ data.x[list(chosen)]
    rounded = np.round(total / data.spacing) * data.spacing
    return fit(replace(data, y=np.where(np.isfinite(data.y), rounded, np.nan)), chosen).coefficients - coefficients


def clusters(places: EntryPlaces) -> Int64s:
    """(columns,) which columns may depend on each other: those of one residual channel; the others stand alone."""
    alone = places.channel < 0
    cluster = places.channel.copy()
    cluster[alone] = cluster.max(initial=-1) + 1 + np.arange(alone.sum())
    return cluster


def inverse_variance(remainder: Float64s, tensor: Int64s, floor: Float64s) -> Float64s:
    """(columns,) one over the mean square of the remainder in each tensor, which no rounding makes smaller than itself."""
    counts = np.maximum(np.bincount(tensor), 1)
    square = np.bincount(tensor, remainder**2) / counts
    least = np.bincount(tensor, floor) / counts
    return np.asarray(1 / np.maximum(np.maximum(square, least), 1e-300)[tensor])


def sandwich(x: Float64s, weights: Float64s, remainder: Float64s, cluster: Int64s) -> Float64s:
    """(k, k) covariance of weighted least squares slopes under dependence inside clusters."""
    if not x.shape[1]:
        return np.zeros((0, 0))
    bread = np.linalg.pinv((x * weights[:, None]).T @ x)
    scores = np.stack([np.bincount(cluster, weights * remainder * column) for column in x.T], axis=1)
    groups = len(np.unique(cluster))
    correction = groups / max(groups - 1, 1) * (len(x) - 1) / max(len(x) - x.shape[1], 1)
    return np.asarray(bread @ (scores.T @ scores) @ bread * correction)


def added(data: Data, combination: Fit, numbers: Sequence[int]) -> list[float]:
    """log10 p of the null hypothesis that a further model says nothing about the remainder (a score test), for each of
    `numbers`.

    The model's difference from the first chosen one is freed of what the chosen ones explain of it; its products with the
    remainder add up to nothing if it has no part in the suspect.
    """
    kept = np.flatnonzero(combination.weights > 0)
    cluster = clusters(data.places)[kept]
    kept, cluster = kept[order := np.argsort(cluster, kind="stable")], cluster[order]
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))
    root = np.sqrt(combination.weights[kept])
    first = data.x[combination.chosen[0], kept]
    basis = np.linalg.qr(((data.x[list(combination.chosen[1:])][:, kept] - first) * root).T)[0]
    left = root * combination.remainder[kept]
    log10_ps = []
    for number in numbers:
        if number in combination.chosen:
            log10_ps.append(0.0)
            continue
        new = np.nan_to_num((data.x[number, kept] - first) * root)
        scores = np.add.reduceat((new - basis @ (basis.T @ new)) * left, starts)
        spread = math.sqrt(float(scores @ scores) * len(scores) / max(len(scores) - 1, 1))
        log10_ps.append(student_log10_p(float(scores.sum()) / spread, len(scores)) if spread else 0.0)
    return log10_ps


@dataclass(frozen=True)
class Contribution:
    """How much one chosen model adds to a combination.

    Attributes:
        log10_p: of the null hypothesis that the combination does as well without it.
        share: the part of the others' remainder that it explains; between 0 and 1.
        halves: log10 p of the null hypothesis that the share is at most one half.
    """

    log10_p: float
    share: float
    halves: float


def part(data: Data, combination: Fit, number: int) -> Contribution:
    """Compare a combination with the best one without the model `number`."""
    others = [row for row in combination.chosen if row != number]
    without = fit(data, others)
    kept = (combination.weights > 0) & (without.weights > 0)
    weights = combination.weights[kept]
    cluster = clusters(data.places)[kept]
    after, before = weights * combination.remainder[kept] ** 2, weights * without.remainder[kept] ** 2
    total = float(before.sum())
    return Contribution(
        log10_p=added(data, without, [number])[0],
        share=max(1 - float(after.sum()) / total, 0.0) if total else 0.0,
        halves=half_test(HALF * before - after, cluster),
    )


def select(data: Data, relatives: Sequence[int], alpha: float) -> tuple[Fit, Fit]:
    """The models that are needed to explain the suspect: `forward`, then `backward`.

    Returns:
        the combination of the models that remain, and the largest one on the way.
    """
    speaking = forward(data, relatives, alpha)
    return backward(data, speaking, len(relatives), alpha), speaking


def forward(data: Data, relatives: Sequence[int], alpha: float) -> Fit:
    """The models that speak for the suspect: begin with the nearest; add the one that the remainder speaks for most, as long as
    its p-value times the number of candidates is at most alpha.
    """
    start = min(relatives, key=lambda number: _distance(data, number))
    speaking = fit(data, [start])
    tries, limit = max(len(relatives) - 1, 1), math.log10(alpha)
    for _ in count():
        if len(speaking.chosen) >= min(MOST, len(relatives)) or roundings(data, speaking.remainder) <= 1.5:
            break
        p = added(data, speaking, relatives)
        best = int(np.argmin(p))
        if bonferroni(p[best], tries) > limit:
            break
        speaking = fit(data, [*speaking.chosen, relatives[best]])
    return speaking


def backward(data: Data, speaking: Fit, candidates: int, alpha: float) -> Fit:
    """Those that cannot be done without: drop the model that explains the smallest share of the others' remainder, until every
    one explains more than half of it, significantly.

    Why half: models trained independently from one origin have differences from it that hardly correlate. An origin then lies
    between its descendants, and a sister beside them, so that a model's samples do speak for its relatives; but no k of them,
    and no two, explain it so well that each halves the remainder. Two trainings would have to agree to a correlation of 0.7
    for that.
    """
    tries, limit = max(candidates - 1, 1), math.log10(alpha)
    kept = speaking
    while len(kept.chosen) > 1:
        parts = {number: part(data, kept, number) for number in kept.chosen}
        worst = min(parts, key=lambda number: parts[number].share)
        if bonferroni(max(parts[worst].log10_p, parts[worst].halves), tries) <= limit:
            break
        kept = fit(data, [number for number in kept.chosen if number != worst])
    return kept


def roundings(data: Data, remainder: Float64s) -> float:
    """The remainder's mean square in units of one rounding to the suspect's type, over all tensors.

    About 1 for what was computed and rounded once; n for what was rounded n times on the way.
    """
    kept = np.isfinite(remainder)
    tensor = data.places.tensor[kept]
    square, rounding = np.bincount(tensor, remainder[kept] ** 2), np.bincount(tensor, data.rounding[kept])
    known = rounding > 0
    return float(np.mean(square[known] / rounding[known])) if known.any() else 0.0


def _distance(data: Data, number: int) -> float:
    """Mean square difference from the suspect, every tensor in units of the suspect's own."""
    kept = data.usable([number])
    tensor = data.places.tensor[kept]
    square = np.bincount(tensor, (data.y[kept] - data.x[number, kept]) ** 2)
    own = np.bincount(tensor, data.y[kept] ** 2)
    known = own > 0
    return float(np.mean(square[known] / own[known])) if known.any() else math.inf
