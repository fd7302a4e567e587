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
    shapes, total = model.facts.get("shapes"), model.facts.get("parameters")
    if not isinstance(shapes, dict) or not isinstance(total, int) or total < 1:
        return 1.0
    found = 0
    for role in roles:
        rows = shapes.get(role)
        for entry in (rows if isinstance(rows, list) else [])[:layers]:
            if isinstance(entry, list) and all(isinstance(n, int) and n >= 0 for n in entry):
                found += math.prod(entry)
    if "embedding" in roles:
        sizes = [model.facts.get(fact) for fact in ("vocab_size", "hidden_size")]
        found += math.prod(size for size in sizes if isinstance(size, int)) if all(isinstance(s, int) for s in sizes) else 0
    return found / total
