"""What a score says of a model and itself: the value of a copy, beside which the value of two models can be read."""

from __future__ import annotations

from collections.abc import Collection

from kinprint import methods as registry
from kinprint.fingerprints import Fingerprint


def own_scores(model: Fingerprint, names: Collection[str]) -> dict[str, float]:
    """Score -> its value for the model and an exact copy, of the named ones that fingerprints alone give and that apply."""
    asked = [method for method in registry.known() if method.name in names and not method.deep]
    return {said.method: said.statistic for method in asked if (said := method(model, model)).statistic is not None}
