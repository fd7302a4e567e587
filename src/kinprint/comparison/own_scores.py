"""What a score says of a model and itself: the value of a copy, beside which the value of two models can be read."""

from __future__ import annotations

from kinprint import methods as registry
from kinprint.fingerprints import Fingerprint


def own_scores(model: Fingerprint) -> dict[str, float]:
    """Score -> its value for the model and an exact copy of it, of the scores that fingerprints alone give and that apply."""
    asked = [method for method in registry.known() if method.kind == "score" and not method.deep]
    return {said.method: said.statistic for method in asked if (said := method(model, model)).statistic is not None}
