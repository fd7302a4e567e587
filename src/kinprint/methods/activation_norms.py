"""Activation norms: the curve over depth of the mean norm of hidden states, correlated between two models."""

from __future__ import annotations

import numpy as np

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.methods._probe import require_same_probe
from kinprint.statistics.over_depth import correlation


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Pearson correlation of the logarithms of the mean norms by layer; that of the standard deviations as a part."""
    require_same_probe(reference, suspect, "texts")
    curves = [np.asarray(model.traits["activations.norms"], dtype=np.float64) for model in (reference, suspect)]
    if min(map(len, curves)) < 3:
        raise NotApplicable("a profile needs at least three layers")
    if not all(np.isfinite(curve).all() and (curve[:, 0] > 0).all() for curve in curves):
        raise NotApplicable("one of the models has activations that are not finite, or all zero")
    means = correlation(*(np.log(curve[:, 0]) for curve in curves))
    spread = correlation(*(curve[:, 1] for curve in curves))
    if means is None:
        raise NotApplicable("one of the curves is flat")
    parts = {"mean": means} | ({} if spread is None else {"standard deviation": spread})
    return Finding(
        statistic=means,
        parts=parts,
        note="Norms grow with depth in every model that adds to its residual stream: not evidence.",
    )


METHOD = Score(
    name="activation-norms",
    summary="correlation over depth of the norms of hidden states on the probe texts",
    needs=("activations.norms",),
    source="Intrinsic Fingerprint of LLMs, arXiv 2507.03014 (withdrawn)",
    known_failure="Hidden states grow with depth in every residual network, so curves of unrelated models correlate.",
    run=run,
    observed=True,
)
