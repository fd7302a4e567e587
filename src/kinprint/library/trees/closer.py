"""A closer look at neurons than index vectors have: the same function of them, at thousands of frequencies instead of 128.

Of two strangers the cosine of `forms` (`kinprint.library.vectors`) has a spread of 1 / sqrt(dimensions), in which the
similarity of a copy that was trained on and disguised is lost. More dimensions have less of it. They are cheap in products:
the sum over neurons x of exp(i x (v + w)) is an entry of a matrix product of exp(i x v) and exp(i x w), so `BASE`
directions give the sums and the differences of all their pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kinprint.arrays import Float32s, Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.library.vectors import FREQUENCY, Neurons, blocks, frequencies

BASE = 48
"""Directions of which all pairs are taken."""

LENGTH = 2 * BASE * (BASE - 1)
"""Of a vector: cosine and sine at the sum and the difference of each pair."""


def closer(fingerprint: Fingerprint) -> Float32s | None:
    """(LENGTH,) unit vector of the neurons of a model; None if nothing is measured of them, or they are all alike."""
    neurons = Neurons.of(fingerprint)
    if neurons is None:
        return None
    scores = neurons.scores
    ways = frequencies("closer", neurons.known, BASE, scores, FREQUENCY / math.sqrt(2))
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
    vector = np.concatenate([part[np.triu_indices(BASE, 1)] for part in parts])
    norm = float(np.linalg.norm(vector))
    return (vector / norm).astype(np.float32) if norm > 1e-9 * len(scores) else None


def similarities(vectors: Sequence[Float32s | None]) -> Float64s:
    """(models, models) cosines of their vectors in standard deviations of strangers'; NaN of a model without one."""
    found = np.full((len(vectors), len(vectors)), np.nan)
    known = [number for number, vector in enumerate(vectors) if vector is not None]
    if known:
        unit = np.stack([vector for vector in vectors if vector is not None])
        found[np.ix_(known, known)] = unit @ unit.T * math.sqrt(LENGTH)
    return found
