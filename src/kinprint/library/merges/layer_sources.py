"""Which layer of which model each layer comes from. Models of any depth take part, if their layers have one shape.

A source is tested like a relative (`related`): layers of models that were trained apart have samples as likely of one sign as
of the other. The nearest layer of the model that explains most is the source, unless a layer of another model leaves less
than half the remainder, significantly, or nothing: two copies of one model, or two of its children, are not taken for a
mixture of layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.library.merges.combination import clusters
from kinprint.library.merges.relatives import related
from kinprint.library.merges.sampled_entries import OUTSIDE, EntryPlaces, places, spacing, values
from kinprint.statistics import bonferroni
from kinprint.statistics.half_remainder import HALF, half_test


@dataclass(frozen=True)
class Source:
    """Where a layer comes from.

    Attributes:
        model: index of the candidate.
        layer: of that model.
        log10_p: of the null hypothesis that the two layers were trained apart, corrected for all layers searched.
        same: other candidates' layers that hold the very same entries: (model, layer).
    """

    model: int
    layer: int
    log10_p: float
    same: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class LayerSources:
    """What every layer of the suspect was made of; None where nothing is known.

    Attributes:
        sources: a layer each.
        remainder: (columns,) of the suspect, NaN outside of the layers and where there is no source.
    """

    sources: tuple[Source | None, ...]
    remainder: Float64s

    @property
    def models(self) -> tuple[int, ...]:
        """The models that layers come from, those of most layers first."""
        owners = [source.model for source in self.sources if source]
        return tuple(sorted(set(owners), key=lambda model: (-owners.count(model), model)))

    @property
    def in_place(self) -> bool:
        """Whether every source has the layer's own number."""
        return all(source is None or source.layer == number for number, source in enumerate(self.sources))


def layer_sources(suspect: Fingerprint, candidates: Sequence[Fingerprint], alpha: float) -> LayerSources:
    """The sources of the suspect's layers among those of the candidates, all of its `layer_shape`."""
    where, entries = places(suspect), values(suspect, suspect)
    theirs, owners = _stacked(candidates)
    ours = _rows(where, entries)
    scale = _scale(where, ours)
    rounding = _rows(where, spacing(suspect, where, entries)) / scale
    first = where.layer == 0
    scaled, candidate_rows = np.nan_to_num(ours / scale), np.nan_to_num(theirs / scale)
    distances = np.maximum(
        (scaled**2).sum(axis=1)[:, None] + (candidate_rows**2).sum(axis=1) - 2 * scaled @ candidate_rows.T, 0
    )
    group, matrix = clusters(where)[first], where.matrix[first]
    main = min(set(owners[:, 0]), key=lambda model: float(distances[:, owners[:, 0] == model].min(axis=1).sum()))
    own = np.flatnonzero(owners[:, 0] == main)
    sources: list[Source | None] = []
    remainder = np.full(len(entries), np.nan)
    for number, row in enumerate(scaled):
        nearest, taken = int(np.argmin(distances[number])), int(own[np.argmin(distances[number, own])])
        before, after = row - candidate_rows[taken], row - candidate_rows[nearest]
        copied = _rounded(after, rounding[number]) and not _rounded(before, rounding[number])
        if copied or bonferroni(half_test(HALF * before**2 - after**2, group), distances.size) <= math.log10(alpha):
            taken = nearest
        p = bonferroni(related(row[matrix], candidate_rows[taken, matrix], group[matrix]), distances.size)
        if p > math.log10(alpha):
            sources.append(None)
            continue
        same = [
            i
            for i in np.flatnonzero(distances[number] <= distances[number, taken] + 1e-12)
            if np.array_equal(theirs[i], theirs[taken])
        ]
        twins = tuple((int(owners[i, 0]), int(owners[i, 1])) for i in same if i != taken)
        sources.append(Source(int(owners[taken, 0]), int(owners[taken, 1]), p, twins))
        remainder[where.layer == number] = ours[number] - theirs[taken]
    return LayerSources(tuple(sources), remainder)


def _stacked(candidates: Sequence[Fingerprint]) -> tuple[Float64s, np.ndarray]:
    """(layers of all, columns of a layer) and (layers of all, 2) which model's which layer a row is."""
    rows = [_rows(places(model), values(model, model)) for model in candidates]
    owners = [(number, layer) for number, layers in enumerate(rows) for layer in range(len(layers))]
    return np.concatenate(rows), np.array(owners)


def _rows(where: EntryPlaces, entries: Float64s) -> Float64s:
    """(layers, columns of a layer): the same columns in every layer, for the tensors come in one order."""
    count = int(where.layers.max(initial=OUTSIDE)) + 1
    layer = where.layer
    return np.stack([entries[layer == number] for number in range(count)])


def _scale(where: EntryPlaces, rows: Float64s) -> Float64s:
    """(columns of a layer,) root mean square of the suspect's tensors of that role, over all layers."""
    tensor = where.tensor[where.layer == 0]
    square = np.bincount(tensor, np.nan_to_num(rows**2).mean(axis=0)) / np.maximum(np.bincount(tensor), 1)
    scale = np.sqrt(square)[tensor]
    return np.asarray(np.where(scale > 0, scale, 1))


def _rounded(remainder: Float64s, spacing: Float64s) -> bool:
    """Whether no entry is further off than a rounding: then there is nothing left to test."""
    return bool((np.abs(remainder) <= spacing).all())
