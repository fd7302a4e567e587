"""Which traits a disguise changes, measured: the function stays, and so should what describes it.

Traits are compared as sets of units: the order of channels, heads, neurons and experts is free, and no trait claims to be
without it. Everything else that differs counts as changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.errors import ArchitectureError, TransformError
from kinprint.fingerprints.trait_table import describe
from kinprint.transforms import Model, known
from kinprint.zoo.families import SHAPES
from kinprint.zoo.habits import FAMILIES, measured, stranger

SHAPE = replace(SHAPES["tiny"], hidden=128)
"""Heads of 16 dimensions, which every family divides into those that positions rotate and others."""

UNITS = ("hidden", "neurons", "heads", "experts", "n")
"""Axes whose order is free."""

TOLERANCE, SHARE = 5e-3, 0.98
"""Values may differ by so many standard deviations of the trait's column; this share of the units has to agree so far."""

COMPOSED = ("disguise",)
"""Transforms that are others one after the other."""


def changes(families: Iterable[str] = FAMILIES, seed: int = 3) -> Mapping[str, frozenset[str]]:
    """Pattern of a trait in `kinprint.fingerprints.trait_table` -> the disguises that change such a trait of some family beyond
    the order of its units; of all traits that were compared."""
    changed: dict[str, set[str]] = {}
    for family in families:
        model = stranger(family, seed, SHAPE)
        model = replace(model, config={**model.config, "norm_eps": 1e-5})  # what scale-stream has to change along
        before = _traits(model)
        for name, transform in known().items():
            if transform.kind != "disguise" or name in COMPOSED:
                continue
            try:
                after = _traits(transform(model))
            except (TransformError, ArchitectureError):
                continue
            for trait in before.keys() & after.keys():
                described = describe(trait)
                if described is None:
                    continue
                by = changed.setdefault(described.pattern, set())
                if not _same(before[trait], after[trait], trait):
                    by.add(name)
    return {pattern: frozenset(by) for pattern, by in sorted(changed.items())}


def _traits(model: Model) -> dict[str, NDArray[np.floating]]:
    """Of the full fingerprint, and what a quick one has alone."""
    full, quick = (measured(model, "model", quick=quick, scores=not quick) for quick in (False, True))
    return {**quick.traits, **full.traits}


def _same(before: NDArray[np.floating], after: NDArray[np.floating], trait: str) -> bool:
    """Whether nearly all units of each side are among those of the other."""
    x, y = (_units(values, trait) for values in (before, after))
    if len(x) != len(y) or x.shape[-1] != y.shape[-1] or not np.array_equal(np.isnan(x).all((0, 1)), np.isnan(y).all((0, 1))):
        return False
    known = np.nan_to_num(x)
    scale = np.maximum(known.std(axis=(0, 1)), 1e-2 * np.abs(known).max(axis=(0, 1)))
    x, y = (np.nan_to_num(side / np.maximum(scale, 1e-30), nan=1e6) for side in (x, y))
    return all(_among(a, b) >= SHARE and _among(b, a) >= SHARE for a, b in zip(x, y, strict=True))


def _among(sought: NDArray[np.floating], units: NDArray[np.floating]) -> float:
    """Share of the sought units (n, features) that occur among `units`."""
    return float(np.mean([(np.abs(units - unit) <= TOLERANCE).all(axis=1).any() for unit in sought]))


def _units(values: NDArray[np.floating], trait: str) -> NDArray[np.float64]:
    """(layers, units, features); one unit where the order of all axes is fixed, one layer outside the layers."""
    described = describe(trait)
    assert described is not None
    axes = next(shape for shape in described.shapes if len(shape) == values.ndim)
    wide = np.asarray(values, dtype=np.float64)
    if "layers" not in axes:
        wide, axes = wide[None], ("layers", *axes)
    unit = next((number for number, axis in enumerate(axes) if axis in UNITS), None)
    if unit is None:
        return wide.reshape(len(wide), 1, -1)
    return np.moveaxis(wide, unit, 1).reshape(len(wide), wide.shape[unit], -1)
