"""One file a family of traits. A new family is a new file here and its lines in `trait_table.TRAITS`, nothing else.

Each has `rows(layer) -> {trait: row}`: what one layer adds to its traits, NaN where it has nothing. It is also called for
every part outside the layers (`layer.index` is None), and what it returns then is the whole trait. A family that says
`FOR_SCORES = True` has only traits that `trait_table.TRAITS` calls so, and is left out where no scores are asked for.
"""

from __future__ import annotations

import sys
from types import ModuleType

from kinprint.arrays import Array
from kinprint.discovery import modules
from kinprint.fingerprints.layer import Layer


def families(*, scores: bool) -> list[ModuleType]:
    """All families, in alphabetical order; without `scores` those that tests and searches use."""
    known = modules(sys.modules[__name__])
    return [family for family in known if scores or not getattr(family, "FOR_SCORES", False)]


def rows(layer: Layer, *, scores: bool) -> dict[str, Array]:
    """What all families find in one layer; `scores` as for `families`."""
    traits: dict[str, Array] = {}
    for family in families(scores=scores):
        traits.update(family.rows(layer))
    return traits
