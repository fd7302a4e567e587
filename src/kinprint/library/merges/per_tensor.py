"""Coefficients of every tensor and every expert, and what they say together of the whole.

A tensor's coefficients are least squares on its own entries, with errors that allow entries of any variance (HC1, MacKinnon and
White 1985): what a random drop leaves grows with the difference that was dropped. Together they are pooled with a variance
between tensors beside their errors (random effects; DerSimonian and Laird 1986, the multivariate form of Jackson, White and
Thompson 2010): noise moves all tensors alike, training does not, and then the whole is known only as well as tensors agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float64s, Int64s
from kinprint.library.merges.combination import Data
from kinprint.library.merges.sampled_entries import EntryPlaces
from kinprint.statistics import bonferroni
from kinprint.statistics.distributions import chi_squared_log10_tail

FEWEST = 8
"""Entries a fitted coefficient, at least."""

SPACINGS = 4.0
"""By how many spacings of the suspect's type parts have to differ in a tensor: nearer ones are rounded to one of each other."""

KNOWN = 0.1
"""Error of a coefficient up to which a tensor knows it."""

UNKNOWN = 1e-8
"""Share of the largest eigenvalue below which a direction of the differences says nothing."""


@dataclass(frozen=True)
class Group:
    """Columns that have coefficients of their own.

    Attributes:
        name: of the tensor, "q"; "experts" for all matrices of one expert.
        layer: -1 outside of the layers.
        expert: its number; -1 where there is none.
        columns: their indices.
    """

    name: str
    layer: int
    expert: int
    columns: Int64s


@dataclass(frozen=True)
class GroupFit:
    """Slopes of one group.

    Attributes:
        group: whose.
        slopes: (chosen - 1,) coefficients of all models but the first; the first has what is missing to one.
        covariance: (chosen - 1, chosen - 1) of them.
        known: (chosen - 1, k) basis of the directions that the entries say something about.
    """

    group: Group
    slopes: Float64s
    covariance: Float64s
    known: Float64s

    @property
    def coefficients(self) -> Float64s:
        """(chosen,) which sum to one."""
        return np.concatenate([[1 - self.slopes.sum()], self.slopes])

    @property
    def errors(self) -> Float64s:
        """(chosen,) standard errors; infinite where the models do not differ here."""
        return _errors(self.covariance, self.known)


@dataclass(frozen=True)
class Pooled:
    """What all tensors say together.

    Attributes:
        coefficients: (chosen,) which sum to one.
        errors: (chosen,) standard errors, with the variance between tensors in them.
        scatter: (chosen,) standard deviation between tensors, beyond their errors.
        apart: (chosen,) the same, every tensor that knows its coefficient counting alike (Hedges and Olkin 1985).
        tensors: how many were pooled.
        log10_p: of the null hypothesis that all tensors have the same coefficients (Cochran's Q), corrected for the models.
    """

    coefficients: Float64s
    errors: Float64s
    scatter: Float64s
    apart: Float64s
    tensors: int
    log10_p: float

    @property
    def unevenness(self) -> Float64s:
        """(chosen,) how far tensors may scatter, as a share of the coefficient: two standard errors above the estimate.

        The variance of n tensors about their mean is known to a share of sqrt(2 / n), and n times the square of the pooled
        error is about that variance.
        """
        above = 2 * math.sqrt(2 / self.tensors) * self.tensors * self.errors**2
        return np.asarray(
            np.sqrt(np.maximum(self.scatter, self.apart) ** 2 + above) / np.maximum(np.abs(self.coefficients), 1e-12)
        )


def tensors(places: EntryPlaces) -> Iterator[Group]:
    """Every tensor: one role of one layer."""
    order = np.argsort(places.tensor, kind="stable")
    bounds = np.searchsorted(places.tensor[order], np.arange(len(places.names) + 1))
    for number, name in enumerate(places.names):
        yield Group(name, int(places.layers[number]), -1, order[bounds[number] : bounds[number + 1]])


def experts(places: EntryPlaces) -> Iterator[Group]:
    """Every expert of every layer: the entries of all its matrices."""
    columns = np.flatnonzero(places.expert >= 0)
    keys = np.stack([places.layer[columns], places.expert[columns]], axis=1)
    for layer, expert in np.unique(keys, axis=0) if len(columns) else ():
        yield Group("experts", int(layer), int(expert), columns[(keys == (layer, expert)).all(axis=1)])


def group_fit(data: Data, chosen: Sequence[int], group: Group) -> GroupFit | None:
    """Coefficients, sum one, of one group; None where there are too few entries or the models are too near each other."""
    columns = group.columns[data.usable(chosen)[group.columns]]
    if len(columns) < FEWEST * len(chosen):
        return None
    first = data.x[chosen[0], columns]
    x = (data.x[list(chosen[1:])][:, columns] - first).T
    spread = np.sqrt(np.mean(np.ptp(data.x[list(chosen)][:, columns], axis=0) ** 2))
    if spread < SPACINGS * np.sqrt(np.mean(data.spacing[columns] ** 2)):
        return None
    y = data.y[columns] - first
    sizes, turn = np.linalg.eigh(x.T @ x)
    known = sizes > UNKNOWN * sizes[-1]
    inverse = (turn[:, known] / sizes[known]) @ turn[:, known].T
    slopes = inverse @ (x.T @ y)
    remainder = y - x @ slopes
    square = np.maximum(remainder**2, data.rounding[columns])
    correction = len(columns) / (len(columns) - x.shape[1])
    covariance = inverse @ ((x * square[:, None]).T @ x) @ inverse * correction
    return GroupFit(group, slopes, covariance, turn[:, known])


def pooled(fits: Sequence[GroupFit]) -> Pooled | None:
    """The mean coefficients of tensors that scatter about them; None for fewer than four tensors."""
    if len(fits) < 4:
        return None
    slopes, errors = np.stack([fit.coefficients for fit in fits]), np.stack([fit.errors for fit in fits])
    between = np.array([_between(*pair) for pair in zip(slopes.T, errors.T**2, strict=True)])
    information, total = np.zeros_like(fits[0].covariance), np.zeros(len(fits[0].slopes))
    for fit in fits:  # directions that a tensor says nothing about have infinite variance in it, and no weight
        inside = fit.known.T @ (fit.covariance + np.diag(between[1:])) @ fit.known
        weight = fit.known @ np.linalg.pinv(inside, hermitian=True) @ fit.known.T
        information += weight
        total += weight @ fit.slopes
    sizes, turn = np.linalg.eigh(information)
    known = turn[:, sizes > UNKNOWN * sizes[-1]]
    covariance = known @ np.diag(1 / sizes[sizes > UNKNOWN * sizes[-1]]) @ known.T
    mean = covariance @ total
    coefficients = np.concatenate([[1 - mean.sum()], mean])
    apart = np.array([_apart(*pair) for pair in zip(slopes.T, errors.T**2, strict=True)])
    unlike = min(_unlike(*pair) for pair in zip(slopes.T, errors.T**2, strict=True))
    unlike = bonferroni(unlike, slopes.shape[1])
    return Pooled(coefficients, _errors(covariance, known), np.sqrt(between), np.sqrt(apart), len(fits), unlike)


def whole_of(data: Data, chosen: Sequence[int]) -> Pooled | None:
    """The coefficients of some models, pooled over tensors; None for a single model, or too few tensors."""
    if len(chosen) < 2:
        return None
    return pooled([found for group in tensors(data.places) if (found := group_fit(data, chosen, group)) is not None])


def _between(values: Float64s, variances: Float64s) -> float:
    """DerSimonian and Laird's variance between groups, from their values and variances."""
    kept = np.isfinite(variances) & (variances > 0)
    if kept.sum() < 2:
        return 0.0
    values, weights = values[kept], 1 / variances[kept]
    total = float(weights.sum())
    mean = float(weights @ values) / total
    free = total - float(weights @ weights) / total
    surplus = float(weights @ (values - mean) ** 2) - (len(values) - 1)
    return max(surplus / free, 0.0) if free > 1e-9 * total else 0.0


def _unlike(values: Float64s, variances: Float64s) -> float:
    """log10 p of Cochran's Q: whether groups scatter by more than their errors."""
    kept = np.isfinite(variances) & (variances > 0)
    if kept.sum() < 2:
        return 0.0
    values, weights = values[kept], 1 / variances[kept]
    surplus = float(weights @ (values - float(weights @ values) / float(weights.sum())) ** 2)
    return float(chi_squared_log10_tail(np.array([surplus]), len(values) - 1)[0])


def _apart(values: Float64s, variances: Float64s) -> float:
    """Hedges and Olkin's variance between groups: few precise ones, in which models hardly differ, do not decide it."""
    kept = variances < KNOWN**2
    return max(float(np.var(values[kept], ddof=1) - np.mean(variances[kept])), 0.0) if kept.sum() > 3 else 0.0


def _errors(covariance: Float64s, known: Float64s) -> Float64s:
    """(chosen,) standard errors of all coefficients, from the covariance of all but the first; infinite where unknown."""
    size = len(covariance)
    turn = np.vstack([-np.ones(size), np.eye(size)])
    outside = turn @ (np.eye(size) - known @ known.T)
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", turn, covariance, turn), 0))
    return np.asarray(np.where((outside**2).sum(axis=1) < 1e-6, errors, math.inf))
