"""Compiled functions where nothing can be written."""

from __future__ import annotations

import pytest
from numba.core import caching

from kinprint.compiled import compiled


def test_no_folder_to_keep_machine_code_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only package and no home folder: compiled again in each process, but never an error."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    @compiled()
    def double(x: float) -> float:
        return x * 2

    assert double(2.0) == 4.0
