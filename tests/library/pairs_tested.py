"""Which pairs of fingerprints a search tests."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from kinprint.comparison import Comparison, examine
from kinprint.fingerprints import Fingerprint


def pairs_tested_by(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Names of the pairs that a module has examined, in a list that grows."""
    pairs = list[tuple[str, str]]()

    def counting(models: tuple[Fingerprint, Fingerprint], **options: Any) -> Comparison:
        pairs.append((models[0].name, models[1].name))
        return examine(models, **options)

    monkeypatch.setattr(module, "examine", counting)
    return pairs
