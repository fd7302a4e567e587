"""Do the labels of one model's units mean something? Checks of a single model, for the report; no verdict rests on them.

Null hypothesis of each: the units of a layer stand in uniformly random order. Sorted units, halves, alternation and any other
period, and neighbours that are alike speak against it; so do layers that agree by label. p-values are approximate (chi squared
or normal with matched moments) and corrected for what was tried. What tests by label forgive of this, `neighbourhoods`, `order`
and `copies` say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri

from kinprint.arrays import Float64s
from kinprint.statistics.copies import Ranked, agreements, as_they_are, clones, linked_layers
from kinprint.statistics.distributions import chi_squared_log10_tail
from kinprint.statistics.multiplicity import bonferroni

FEWEST = 8
"""Units below which nothing is checked."""

SLOWEST = 128
"""Longest period that is looked for: heads are no wider."""

LAYERS = 4
"""Layers in which orders are looked for, evenly chosen; copies are looked for in all."""

DIRECTIONS = 16
"""Leading directions of the features that are looked at, at most one for eight units."""


COPIES = "copies of each other"


@dataclass(frozen=True)
class LabelCheck:
    """One thing that the labels of a space may mean.

    Attributes:
        order: what, in a few words that follow "are": "sorted", "alike in neighbours".
        log10_p: how likely random labels would show as much of it; None where it was counted, not tested.
    """

    order: str
    log10_p: float | None

    @property
    def tells_clones(self) -> bool:
        """Whether it says that units are copies of each other."""
        return self.order.startswith(COPIES)


def label_checks(scores: Float64s, ranked: Ranked = as_they_are) -> list[LabelCheck]:
    """Every check of one space.

    Args:
        scores: (layers, units, features) normal scores, NaN rows where there is no unit.
        ranked: makes normal scores of what is looked at, if these are features.
    """
    present: NDArray[np.bool_] = np.asarray(np.isfinite(scores).any(axis=2))
    known = present.any(axis=1)  # layers that have such units
    scores, absent = scores[known], np.logical_not(present[known])
    layers = len(scores)
    found = _counted(scores, absent, ranked)
    there = ~absent.any(axis=0)
    count = int(there.sum())
    if count < FEWEST:
        return found
    shown = np.unique(np.linspace(0, layers - 1, min(layers, LAYERS)).round().astype(int))
    values = _leading(np.nan_to_num(ranked(scores[np.ix_(shown, there)])))
    if not values.shape[2]:  # units that are all alike stand in no order
        return found
    sorted_ = ndtri((np.arange(count) + 1) / (count + 1))
    halves = np.where(np.arange(count) < count // 2, 1.0, -1.0)
    found.append(LabelCheck("sorted", _along(values, sorted_)))
    found.append(LabelCheck("in two halves", _along(values, halves)))
    found.append(_periodic(values))
    found.append(LabelCheck("alike in neighbours", _neighbours(values)))
    if len(shown) > 1:
        linked = linked_layers(values)
        apart = np.triu(linked[:, None] != linked, 1)
        if apart.any():
            deviations = agreements(values, count - 1)[1][apart]
            shared = _normal(float(deviations.sum()) / math.sqrt(len(deviations)))
            found.append(LabelCheck("in one order in all layers", shared))
    return found


def _counted(scores: Float64s, absent: NDArray[np.bool_], ranked: Ranked) -> list[LabelCheck]:
    """Zero units, copies of layers and of units."""
    found: list[LabelCheck] = []
    if absent.any():
        found.append(LabelCheck(f"zero in part ({absent.mean():.1%})", None))
    layers = len(scores)
    linked = linked_layers(scores, ranked=ranked)
    if len(set(linked.tolist())) < layers:
        found.append(LabelCheck(f"the same in {layers - len(set(linked.tolist()))} of {layers} layers as in others", None))
    groups = clones(scores, ranked)
    if groups is not None:
        found.append(LabelCheck(f"{COPIES}, {groups.shape[1]} of each", None))
    return found


def _leading(scores: Float64s) -> Float64s:
    """(layers, units, directions) leading principal directions of the features, of unit variance over all layers."""
    layers, units, _ = scores.shape
    centred = scores - scores.mean(axis=1, keepdims=True)
    flat = centred.reshape(layers * units, -1)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    kept = [i for i in np.argsort(-values)[: max(min(DIRECTIONS, units // 8), 1)] if values[i] > 1e-9]
    return np.asarray(centred @ (vectors[:, kept] / np.sqrt(values[kept])))


def _log10_of_energy(energy: Float64s, values: Float64s) -> Float64s:
    """log10 p of the energies (n,) of directions among labels: chi squared with their mean and variance under the null."""
    inner = values.swapaxes(1, 2) @ values / (values.shape[1] - 1)
    mean, variance = float(np.trace(inner, axis1=1, axis2=2).sum()), 2 * float((inner**2).sum())
    scale, freedom = variance / (2 * mean), 2 * mean**2 / variance
    return chi_squared_log10_tail(energy / scale, freedom)


def _along(values: Float64s, direction: Float64s) -> float:
    """log10 p of how much of one direction among labels there is."""
    unit = direction - direction.mean()
    parts = np.einsum("n,lnf->lf", unit / np.linalg.norm(unit), values)
    return min(float(_log10_of_energy(np.array([(parts**2).sum()]), values)[0]), 0.0)


def _periodic(values: Float64s) -> LabelCheck:
    """The strongest period."""
    count = values.shape[1]
    waves = np.abs(np.fft.rfft(values, axis=1)) ** 2 / count
    energies = waves.sum(axis=(0, 2))
    tried = np.arange(max(3, -(-count // SLOWEST)), len(energies))  # slower ones are orders, not periods
    alone = tried == count / 2  # alternation has no second phase
    logs = np.where(
        alone,
        _log10_of_energy(energies[tried], values),
        _log10_of_energy_twice(2 * energies[tried], values),
    )
    best = int(np.argmin(logs))
    period = count / tried[best]
    return LabelCheck(f"alike with a period of {period:.3g}", bonferroni(float(logs[best]), len(tried)))


def _log10_of_energy_twice(energy: Float64s, values: Float64s) -> Float64s:
    """As `_log10_of_energy`, of the sum over two orthogonal directions."""
    return _log10_of_energy(energy, np.concatenate([values, values]))


def _neighbours(values: Float64s) -> float:
    """log10 p of the agreement of units with their neighbours."""
    count = values.shape[1]
    total = float(np.einsum("lnf,lnf->", values[:, 1:], values[:, :-1]))
    inner = values.swapaxes(1, 2) @ values / count
    mean = -float(np.trace(inner, axis1=1, axis2=2).sum())  # of random labels: what is left is centred
    return _normal((total - mean) / math.sqrt(count * float((inner**2).sum())))


def _normal(deviations: float) -> float:
    """log10 of the upper tail of the normal distribution."""
    return min(float(log_ndtr(-deviations)) / math.log(10), 0.0)
