"""Relatives whose entries do not lie at the suspect's places: copies relabelled, rotated or resized.

Nothing can be gathered from them; that they are there is worth saying. kinprint's other tests take seconds a pair, so only
those candidates are tested that look most like it by what such copies keep: the spectra of the heads, whatever their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from kinprint import methods
from kinprint.arrays import Float64s
from kinprint.comparison import examine
from kinprint.fingerprints import Fingerprint
from kinprint.statistics import bonferroni

TESTED = 3
"""Candidates that are tested. P-values are corrected for all."""

SPECTRA = ("heads.qk_spectrum", "heads.vo_spectrum")
QUANTILES = np.linspace(0.05, 0.95, 19)


def unaligned(
    suspect: Fingerprint,
    candidates: Sequence[Fingerprint],
    alpha: float,
    searched: int,
    progress: Callable[[str, int, int], None],
) -> tuple[tuple[Fingerprint, float], ...]:
    """Candidates that are related to the suspect by kinprint's tests, with their corrected log10 p, the smallest first."""
    ours = _profile(suspect)
    nearest = sorted(candidates, key=lambda model: float(np.sum((_profile(model) - ours) ** 2)))[:TESTED]
    related = []
    for number, model in enumerate(nearest):
        progress(model.name, number, len(nearest))
        alone = examine((model, suspect), methods=methods.tests()).log10_p
        log10_p = None if alone is None else bonferroni(alone, searched)
        if log10_p is not None and log10_p <= math.log10(alpha):
            related.append((model, log10_p))
    return tuple(sorted(related, key=lambda item: item[1]))


def _profile(model: Fingerprint) -> Float64s:
    """Quantiles of the logarithms of all heads' singular values, in whatever order heads and layers come."""
    quantiles = []
    for name in SPECTRA:
        sizes = np.asarray(model.traits.get(name, np.zeros(1)), np.float64)
        known = sizes[np.isfinite(sizes) & (sizes > 0)]
        quantiles.append(np.quantile(np.log(known), QUANTILES) if known.size else np.zeros(len(QUANTILES)))
    return np.concatenate(quantiles)
