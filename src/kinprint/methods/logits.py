"""Logits: how much of the suspect's logit vectors the reference's output head could have made."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.methods._probe import require_same_probe


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Mean over texts of the share of the squared norm of the suspect's logits inside the span of the reference's head."""
    require_same_probe(reference, suspect, "texts")
    outside = np.asarray(reference.traits["logits.outside"], dtype=np.float64)
    logits = np.asarray(suspect.traits["logits.probe"], dtype=np.float64)
    count = outside.shape[1]
    ours, theirs = (model.traits["logits.tokens"][:count] for model in (reference, suspect))
    if len(theirs) < count or not np.array_equal(ours, theirs):
        raise NotApplicable("the models have different vocabularies, so their logits cannot be compared")
    shares = inside(logits[:, :count], outside)
    if not np.isfinite(shares).all():
        raise NotApplicable(f"{suspect.name} gives logits that are not finite or are all zero")
    return Finding(
        statistic=float(shares.mean()),
        parts={"smallest": float(shares.min()), "by chance": 1 - len(outside) / count},
        note="Training the output head moves a descendant out of the span; an unrelated model with the same embedding stays.",
    )


def inside(logits: Float64s, outside: Float64s) -> Float64s:
    """(texts,) share of the squared norm of logits (texts, tokens) that lies in no direction of `outside` (n, tokens)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - ((logits @ outside.T) ** 2).sum(1) / (logits**2).sum(1))


METHOD = Score(
    name="logits",
    summary="share of the suspect's logit vectors inside the span of the reference's output head",
    needs=("logits.outside", "logits.probe"),
    source="Yang and Wu, A Fingerprint for Large Language Models, arXiv 2407.01235",
    known_failure="The span is that of the head alone: training moves it, a new vocabulary ends it, and whoever keeps a "
    "published embedding with new layers is inside it.",
    run=run,
    observed=True,
)
