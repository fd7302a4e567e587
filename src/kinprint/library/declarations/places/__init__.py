"""Where models say what they were made from: one file a place, found here, named nowhere else."""

from __future__ import annotations

import functools
import sys

from kinprint import discovery
from kinprint.library.declarations.places._place import Place, Said


@functools.cache
def places() -> tuple[Place, ...]:
    """Every place, the one that is believed first in front."""
    found = [module.PLACE for module in discovery.modules(sys.modules[__name__])]
    return tuple(sorted(found, key=lambda place: (place.rank, place.name)))


__all__ = ["Place", "Said", "places"]
