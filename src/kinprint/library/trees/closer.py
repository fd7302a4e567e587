"""A closer look at neurons than index vectors have: the same function of them, at thousands of frequencies instead of 128.

Of two strangers the cosine of `forms` (`kinprint.library.vectors`) has a spread of 1 / sqrt(dimensions), in which the
similarity of a copy that was trained on and disguised is lost. More dimensions have less of it. They are cheap in
products: the sum over neurons x of exp(i x (v + w)) is an entry of a matrix product of exp(i x v) and exp(i x w), so
`BASE` directions give the sums and the differences of all their pairs.

It looks twice. At the lower frequency copies far apart are seen, but in models of many neurons the distribution that they share
with others of their recipe is seen too; at the higher one it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kinprint.arrays import Float32s, Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.library.vectors import FREQUENCY, Neurons, blocks, frequencies

FREQUENCIES = (FREQUENCY, 5.0)
"""Root mean square of the phases, of each look."""

BASE = 48
"""Directions of which all pairs are taken."""

LENGTH = 2 * BASE * (BASE - 1)
"""Of a vector: cosine and sine at the sum and the difference of each pair."""


def closer(fingerprint: Fingerprint) -> Float32s | None:
    """(looks, LENGTH) unit vectors of the neurons of a model; None if nothing is measured of them, or they are all alike."""
    neurons = Neurons.of(fingerprint)
    if neurons is None:
        return None
    found = np.stack([_look(neurons, frequency / math.sqrt(2)) for frequency in FREQUENCIES])
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / norms).astype(np.float32) if norms.min() > 1e-9 * len(neurons.scores) else None


def similarities(looked: Sequence[Float32s | None]) -> Float64s:
    """(looks, models, models) cosines in standard deviations of strangers'; NaN of a model without vectors."""
    found = np.full((len(FREQUENCIES), len(looked), len(looked)), np.nan)
    known = [number for number, vectors in enumerate(looked) if vectors is not None]
    if known:
        unit = np.stack([vectors for vectors in looked if vectors is not None], axis=1)
        for look, of_models in zip(found, unit, strict=True):
            look[np.ix_(known, known)] = of_models @ of_models.T * math.sqrt(LENGTH)
    return found


def _look(neurons: Neurons, size: float) -> Float64s:
    """(LENGTH,) sums over neurons at the sums and differences of directions, whose phases have the root mean square `size`."""
    scores = neurons.scores
    ways = frequencies("closer", neurons.known, BASE, scores, size)
    ways32 = ways.astype(np.float32)
    both, crossed, other = np.zeros((3, BASE, BASE))
    for block in blocks(len(scores)):
        phases = scores[block].astype(np.float32) @ ways32
        cosines, sines = np.cos(phases), np.sin(phases)
        both += cosines.T @ cosines
        crossed += sines.T @ cosines
        other += sines.T @ sines
    variance = ways.T @ (scores.T @ scores / len(scores)) @ ways
    alone, together = np.add.outer(np.diag(variance), np.diag(variance)), 2 * variance
    normal = [len(scores) * np.exp(-(alone + sign * together) / 2) for sign in (1, -1)]
    parts = (both - other - normal[0], both + other - normal[1], crossed + crossed.T, crossed - crossed.T)
    return np.concatenate([part[np.triu_indices(BASE, 1)] for part in parts])
