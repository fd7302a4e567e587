"""GhostSpec-corr: the mean singular value of each layer's QK and VO product over depth (arXiv 2511.06390)."""

from __future__ import annotations

import numpy as np

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.methods._spectra import correspond
from kinprint.methods.ghostspec_mse import TRAITS, spectra
from kinprint.statistics.over_depth import correlation


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Pearson correlation over depth of the curves of mean singular values; the mean of that of QK and that of VO.

    Layers of models of different depth correspond as in ghostspec-mse. Chosen here: QK and VO are correlated one by one,
    for in one sequence their difference in size would make any two models alike.
    """
    ours, theirs = spectra(reference), spectra(suspect)
    layers = correspond(ours, theirs)
    if len(layers.pairs) < 3:
        raise NotApplicable("a curve over depth needs at least three layers")
    rows, columns = (list(side) for side in zip(*layers.pairs, strict=True))
    parts = {}
    for kind in layers.distances:
        length = min(ours[kind].shape[1], theirs[kind].shape[1])
        value = correlation(ours[kind][rows, :length].mean(axis=1), theirs[kind][columns, :length].mean(axis=1))
        if value is not None:
            parts[kind] = value
    if not parts:
        raise NotApplicable("the curves of one of the two models are flat")
    return Finding(
        statistic=float(np.mean(list(parts.values()))),
        parts=parts,
        note="Curves over depth look alike in unrelated models too, which reach 0.99: not evidence.",
    )


METHOD = Score(
    name="ghostspec-corr",
    summary="correlation over depth of the mean singular values of each layer's QK and VO product",
    needs=(tuple(TRAITS.values()),),
    source="GhostSpec, arXiv 2511.06390 (AAAI 2026)",
    known_failure="Curves over depth look alike wherever architecture and recipe are alike: by their pooled QK spectra "
    "Llama-3.2-3B and Mistral-7B, strangers, correlate at 0.93, Llama-3.2-3B and Llama-3.1-8B, its parent, at "
    "0.49.",
    run=run,
)
