"""What the tests of heads share: spectra as features, which heads belong together, what values say beyond queries and keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.kept import kept
from kinprint.methods._by_index import positive
from kinprint.methods._twin_heads import joined
from kinprint.statistics import RelabellingGroup
from kinprint.statistics.normal_scores import decorrelation

SPECTRA = ("heads.qk_spectrum", "heads.vo_spectrum")
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0)
"""Quantiles of the log singular values that describe a head, besides their log Frobenius norm."""

RIDGE = 0.02
"""Added to the variance of features before they are decorrelated."""

SHRINKAGE = 0.1
"""The same before values and outputs are regressed on queries and keys."""

LARGEST = 3.0
"""Standard deviations to which features are cut: no single head decides."""

CLONES = 0.2
"""Distance of two heads or groups of one layer from which they count as one, as a share of that of random ones."""


def spectrum_features(spectrum: NDArray[np.floating]) -> Float64s:
    """(layers, heads, rank) singular values -> (layers, heads, 8): log Frobenius norm and quantiles of the logs; NaN for a head
    of zeros, which is none.

    Quantiles rather than single values, so that heads of different rank can be compared.
    """
    values = np.asarray(spectrum, dtype=np.float64)
    values = np.where(positive(values.max(axis=-1, keepdims=True)) > 0, values, np.nan)
    floor = np.finfo(np.float32).tiny + 1e-6 * values.max(axis=-1, keepdims=True)  # below lies rounding, not the model
    logs = np.log(np.maximum(values, floor))
    norm = 0.5 * np.log(np.maximum((values**2).sum(-1, keepdims=True), np.finfo(np.float32).tiny))
    return np.concatenate([norm, np.moveaxis(np.quantile(logs, LEVELS, axis=-1), 0, -1)], axis=-1)


def structure(model: Fingerprint) -> RelabellingGroup:
    """Key-value groups and the query heads inside each."""
    heads = next(model.traits[name].shape[1] for name in SPECTRA if name in model.traits)
    groups = model.stated.num_key_value_heads
    if not groups:
        raise NotApplicable(
            f"the fact num_key_value_heads of {model.name} is missing, and heads that share keys and values cannot be "
            "exchanged with others"
        )
    if heads % groups:
        raise NotApplicable(f"{model.name} has {heads} heads, not a multiple of its {groups} key-value heads")
    return RelabellingGroup(groups, heads // groups)


def spectra(model: Fingerprint) -> dict[str, Float64s]:
    """(layers, heads, rank) singular values by trait; heads that were split in two are one, NaN in the place of the other."""
    return kept(model, "spectra", lambda: _spectra(model))


def _spectra(model: Fingerprint) -> dict[str, Float64s]:
    by_trait = {name: np.asarray(model.traits[name], dtype=np.float64) for name in SPECTRA if name in model.traits}
    if len(by_trait) < len(SPECTRA) or len({values.shape[:2] for values in by_trait.values()}) > 1:
        return by_trait
    return dict(zip(SPECTRA, joined(by_trait[SPECTRA[0]], by_trait[SPECTRA[1]], structure(model)), strict=True))


@dataclass(frozen=True)
class Side:
    """Heads of one model, NaN where a layer has none.

    Attributes:
        match: (layers, groups, members, features) of queries and keys, of mean square 1.
        rest: the same of what these do not explain of values and outputs.
    """

    match: Float64s
    rest: Float64s

    @classmethod
    def of(cls, model: Fingerprint, members: int | None) -> Side:
        """Of a fingerprint; with `members` None whole groups, each the mean of its heads."""
        features = [spectrum_features(values) for values in spectra(model).values()]
        units = structure(model)
        if len({values.shape[:2] for values in features}) > 1:
            raise NotApplicable(f"the two spectra of {model.name} have different numbers of heads")
        grouped = [values.reshape(len(values), units.groups, units.members, -1) for values in features]
        if members is None:
            grouped = [values.mean(axis=2, keepdims=True) for values in grouped]
        absent = ~np.all([np.isfinite(values).all(axis=(2, 3)) for values in grouped], axis=0)
        match, values = (_standard(np.where(absent[..., None, None], np.nan, side)) for side in grouped)
        return cls(match, _unexplained(match, values))

    def without_clones(self) -> Side:
        """The first of groups that are copies of each other: in one of two models each must be there once."""
        both = np.concatenate([self.match, self.rest], axis=-1)
        flat = both.reshape(*both.shape[:2], -1)
        squares = ((flat[:, :, None] - flat[:, None]) ** 2).sum(axis=-1)
        cloned = np.tril(squares < 2 * CLONES**2 * flat.shape[-1], -1).any(axis=-1)[..., None, None]
        return Side(np.where(cloned, np.nan, self.match), np.where(cloned, np.nan, self.rest))


def _standard(values: Float64s) -> Float64s:
    """(layers, groups, members, features) centred and scaled in each layer, cut, decorrelated over the model."""
    flat = values.reshape(len(values), -1, values.shape[-1])
    with np.errstate(all="ignore"):
        flat = flat - np.nan_to_num(_mean(flat))
        flat = flat / np.maximum(np.sqrt(_mean(flat**2)), 1e-9)
    flat = np.clip(flat, -LARGEST, LARGEST)
    rows = flat[np.isfinite(flat).all(axis=-1)]
    covariance = rows.T @ rows / max(len(rows), 1)
    return np.asarray((flat @ decorrelation(covariance, RIDGE)).reshape(values.shape))


def _unexplained(match: Float64s, values: Float64s) -> Float64s:
    """What a quadratic regression on one leaves of the other, centred in each layer, of mean square 1 for each feature."""
    flat, target = (side.reshape(len(side), -1, side.shape[-1]) for side in (match, values))
    known = np.concatenate([flat, flat**2 - np.nan_to_num(_mean(flat**2))], axis=-1)
    there = np.isfinite(known).all(axis=-1) & np.isfinite(target).all(axis=-1)
    a, b = known[there], target[there]
    weights = np.linalg.solve(a.T @ a + SHRINKAGE * max(len(a), 1) * np.eye(a.shape[1]), a.T @ b)
    rest = target - known @ weights
    rest = rest - np.nan_to_num(_mean(rest))
    size = np.sqrt(np.mean(rest[there] ** 2, axis=0)) if there.any() else np.ones(rest.shape[-1])
    return np.asarray((rest / np.maximum(size, 1e-9)).reshape(values.shape))


def _mean(values: Float64s) -> Float64s:
    """Over the units of each layer that are there."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1, keepdims=True)
    return np.asarray(total / np.maximum(known.sum(axis=1, keepdims=True), 1))
