"""Names of several models in one report: unique, and harmless to show."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint


def labels(models: Sequence[Fingerprint]) -> tuple[str, ...]:
    """Names that differ from each other and can be shown."""
    found: list[str] = []
    taken: set[str] = set()
    for model in models:
        name = printable(model.name, 100)
        label = next(
            text for text in itertools.chain([name], (f"{name} ({n})" for n in itertools.count(2))) if text not in taken
        )
        taken.add(label)
        found.append(label)
    return tuple(found)
