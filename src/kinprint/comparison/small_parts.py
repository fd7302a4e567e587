"""A small part of a model speaks for that part, and not for the model.

Routers, new rows of a vocabulary and freshly added modules stand near the random numbers they started from, which a public seed
repeats in models that have nothing else in common.
"""

from __future__ import annotations

from kinprint.fingerprints import Fingerprint
from kinprint.methods import Evidence, Method, Test

SMALL = 0.01
"""Share of the parameters below which a test of a part decides nothing."""


def small_part(item: Evidence, method: Method, models: tuple[Fingerprint, Fingerprint]) -> str:
    """Why a test of a small part decides nothing; empty for other tests."""
    if not isinstance(method, Test) or method.share is None or not item.applies:
        return ""
    share = min(method.share(model) for model in models)
    return (
        ""
        if share >= SMALL
        else f"Only {share:.2%} of the parameters are in the {method.part}: what is shared there says nothing about the rest."
    )
