"""Who shares entries with the suspect at all: the test that keeps strangers out.

Null hypothesis: the two models were trained apart. Residual channels have no sign: initialisation is symmetric in it, and
behind an RMSNorm training is equivariant to the sign of a channel in all matrices that read or write it. So given one model's
samples and the magnitudes of the other's, the sums over channels of their products have independent, uniformly random signs,
whatever architecture, data and recipe the models share. The sign test (`kinprint.statistics.signs`) is exact for that. Behind
a LayerNorm, which takes the mean over channels, the symmetry holds nearly (docs/gather.md has the measurement).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kinprint.arrays import Float64s, Int64s
from kinprint.library.merges.combination import Data
from kinprint.statistics import bonferroni, sign_test


def related(first: Float64s, second: Float64s, channel: Int64s) -> float:
    """log10 p of the null hypothesis that samples of two models, at the same places, come from trainings apart.

    Args:
        one, other: (samples,) float; every tensor brought to one scale.
        channel: (samples,) residual channel of each; samples of no channel, -1, are left out.
    """
    kept = (channel >= 0) & np.isfinite(first) & np.isfinite(second)
    sums = np.asarray(np.bincount(channel[kept], first[kept] * second[kept]), np.float64)
    return sign_test(sums).log10_p if kept.any() else 0.0


def relatives(data: Data, alpha: float, searched: int = 0) -> tuple[list[int], Float64s]:
    """The candidates that share entries with the suspect.

    Args:
        searched: number of models that the candidates were chosen from.

    Returns:
        their rows in `Data.x`, and log10 p of every candidate, corrected for the number of candidates.
    """
    places, known = data.places, data.places.matrix & np.isfinite(data.y)
    square = np.bincount(places.tensor[known], data.y[known] ** 2, minlength=len(places.names))
    scale = np.sqrt(square / np.maximum(np.bincount(places.tensor[known], minlength=len(places.names)), 1))
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)[places.tensor] ** 2
    suspect = (data.y * inverse)[places.matrix]
    channel = places.channel[places.matrix]
    p = [related(suspect, row[places.matrix], channel) for row in data.x]
    corrected = np.array([bonferroni(log10_p, max(len(p), searched)) for log10_p in p])
    return [int(number) for number in np.flatnonzero(corrected <= math.log10(alpha))], corrected


def same_entries(data: Data, rows: Sequence[int]) -> dict[int, list[int]]:
    """Candidates grouped where they agree in every entry: row of the first -> rows of the others."""
    groups: dict[bytes, list[int]] = {}
    for row in rows:
        groups.setdefault(data.x[row].tobytes(), []).append(row)
    return {group[0]: group[1:] for group in groups.values()}
