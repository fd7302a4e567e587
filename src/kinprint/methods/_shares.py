"""How much of a model some of its matrices are."""

from __future__ import annotations

import math
from collections.abc import Collection

from kinprint.fingerprints import Fingerprint


def share(model: Fingerprint, roles: Collection[str], layers: int | None = None) -> float:
    """Share of a model's parameters in matrices of some roles; 1 where its fingerprint does not say.

    Args:
        roles: matrices inside the layers, and "embedding".
        layers: of the first so many layers alone.
    """
    stated = model.stated
    if not stated.shapes or not stated.parameters:
        return 1.0
    count = sum(math.prod(shape) for role in roles for shape in stated.shapes.get(role, ())[:layers] if shape is not None)
    if "embedding" in roles:
        count += (stated.vocab_size or 0) * (stated.hidden_size or 0)
    return count / stated.parameters
