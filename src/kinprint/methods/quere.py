"""QueRE: what models say about their own answers, compared."""

from __future__ import annotations

import numpy as np

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.methods._probe import require_same_probe


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Cosine of the two vectors of probabilities of yes; their correlation over follow-up questions and answers as a part."""
    require_same_probe(reference, suspect, "questions")
    ours, theirs = (np.asarray(model.traits["answers.yes"], dtype=np.float64).ravel() for model in (reference, suspect))
    both = np.isfinite(ours) & np.isfinite(theirs)
    if both.sum() < max(len(both) / 2, 2):
        raise NotApplicable("one of the models answers most questions with neither yes nor no")
    ours, theirs = ours[both], theirs[both]
    size = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    if size == 0:
        raise NotApplicable("one of the models never answers yes")
    flat = min(float(np.std(ours)), float(np.std(theirs))) < 1e-12
    parts = {} if flat else {"correlation": float(np.corrcoef(ours, theirs)[0, 1])}
    return Finding(
        statistic=float(ours @ theirs) / size,
        parts=parts,
        note="Probabilities are positive, so the cosine is near 1 for any two models: not evidence.",
    )


METHOD = Score(
    name="quere",
    summary="cosine of the probabilities of yes to follow-up questions about the model's own answers",
    needs=("answers.yes",),
    source="QueRE, arXiv 2501.01558",
    known_failure="Vectors of probabilities have a large mean in common: Llama-2-7B and OPT-6.7B, strangers, have 1.0000.",
    run=run,
    observed=True,
)
