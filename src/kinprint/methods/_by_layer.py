"""What a method says of each layer of the suspect, where it compares some of them."""

from __future__ import annotations

import math
from collections.abc import Mapping


def by_layer(values: Mapping[int, float], depth: int) -> tuple[float, ...]:
    """A value for every layer of a suspect of `depth` layers, in order; NaN where a layer was not compared."""
    return tuple(values.get(layer, math.nan) for layer in range(depth))
