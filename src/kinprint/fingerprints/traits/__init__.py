"""One file a family of traits. A new family is a new file here and its lines in `traits.TRAITS`, nothing else.

Each has `rows(layer) -> {trait: row}`: what one layer adds to its traits, NaN where it has nothing. It is also called for
every part outside the layers (`layer.index` is None), and what it returns then is the whole trait.
"""

from __future__ import annotations

import sys

from kinprint.arrays import Array
from kinprint.discovery import modules
from kinprint.fingerprints.layer import Layer


def rows(layer: Layer) -> dict[str, Array]:
    """What all families find in one layer."""
    traits: dict[str, Array] = {}
    for family in modules(sys.modules[__name__]):
        traits.update(family.rows(layer))
    return traits
