"""Norm gains: cosine of RMSNorm and LayerNorm gains, raw and centred, within each model and across the two."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, LayerMaps, Score
from kinprint.statistics.over_depth import cosines

GAINS = ("gains.input", "gains.post_attention")


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Mean raw cosine of the gains of layers at equal relative depth; the parts show why that number means little."""
    names = [name for name in GAINS if name in reference.traits and name in suspect.traits]
    collected: dict[str, list[float]] = {}
    by_layer = []
    for name in names:
        a, b = (np.asarray(model.traits[name], dtype=np.float64) for model in (reference, suspect))
        a, b = (m[np.isfinite(m).all(1)] for m in (a, b))
        if not len(a) or not len(b) or a.shape[1] != b.shape[1]:
            continue
        rows = np.linspace(0, len(a) - 1, len(b)).round().astype(int), np.arange(len(b))
        for kind in ("raw", "centred"):
            across = cosines(a, b, centred=kind == "centred")
            means = {
                f"{kind}_same_depth": across[rows],
                f"{kind}_all_pairs": across,
                f"{kind}_within_reference": _off_diagonal(cosines(a, a, centred=kind == "centred")),
                f"{kind}_within_suspect": _off_diagonal(cosines(b, b, centred=kind == "centred")),
            }
            for part, values in means.items():
                if np.isfinite(values).any():
                    collected.setdefault(part, []).append(float(np.nanmean(values)))
        by_layer.append(cosines(a, b, centred=True)[rows])
    if "raw_same_depth" not in collected:
        raise NotApplicable("the two models have no norm gains of equal width in common")
    parts = {part: float(np.mean(values)) for part, values in collected.items()}
    equal = len({len(row) for row in by_layer}) == 1
    return Finding(
        statistic=parts["raw_same_depth"],
        parts=parts,
        layers=tuple(np.mean(by_layer, axis=0).tolist()) if equal else None,
        note="Raw cosines of gains are near 1 for any two models, and for any two layers of one: not evidence. "
        "Layers show the centred cosine; the test `channels` says whether it is more than chance.",
    )


def maps(a: Fingerprint, b: Fingerprint) -> dict[tuple[str, str], Float64s]:
    """Cosines of the gains of every layer of one model with those of every layer of another of the same width."""
    between: dict[tuple[str, str], Float64s] = {}
    for name in GAINS:
        ours, theirs = (np.asarray(model.traits.get(name, np.empty(0)), dtype=np.float64) for model in (a, b))
        if ours.ndim == theirs.ndim == 2 and ours.shape[1] == theirs.shape[1]:
            between |= {(name, kind): cosines(ours, theirs, centred=kind == "centred") for kind in ("centred", "raw")}
    return between


def _off_diagonal(square: Float64s) -> Float64s:
    return square[~np.eye(len(square), dtype=bool)]


METHOD = Score(
    name="norm-gains",
    summary="cosine of the norm gains of layers at equal depth, raw and centred, within and across the models",
    needs=(GAINS,),
    source="the Solar-Open-100B / GLM-4.5-Air dispute, January 2026",
    known_failure="Gains are positive and nearly constant, so raw cosines are about 0.99 in unrelated models too; a baseline "
    "that uses layer 0 alone hides this, for layer 0 is the exception.",
    run=run,
    maps=LayerMaps(
        "Norm gains",
        "Cosines of the norm gains of every layer with every layer. Raw ones are close to 1 for any two models and any two "
        "layers of one model: not evidence. Centred, only what the layers have in common beyond their mean is left.",
        maps,
    ),
    threshold=0.95,
    threshold_source="the lower end of the raw cosines (0.95 to 0.99) cited as derivation in that dispute",
)
