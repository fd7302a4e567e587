"""A small part of a model speaks for that part, and not for the model.

Routers, new rows of a vocabulary and freshly added modules stand near the random numbers they started from, which a public seed
repeats in models that have nothing else in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kinprint.evidence import Evidence, Method
from kinprint.fingerprints import Fingerprint

SMALL = 0.01
"""Share of the parameters below which a test of a part decides nothing."""


def with_parts(
    evidence: Sequence[Evidence], methods: Sequence[Method], models: tuple[Fingerprint, Fingerprint]
) -> list[Evidence]:
    """Evidence in which tests of small parts are set aside; `methods` are those that gave it, in its order."""
    return [_of_part(item, method, models) for item, method in zip(evidence, methods, strict=True)]


def _of_part(item: Evidence, method: Method, models: tuple[Fingerprint, Fingerprint]) -> Evidence:
    if method.share is None or not item.applies:
        return item
    share = min(method.share(model) for model in models)
    if share >= SMALL:
        return item
    return replace(
        item, set_aside=f"The {method.part} are {share:.2%} of the parameters: what they share says nothing of the rest."
    )
