"""Compiled functions where nothing can be written."""

from __future__ import annotations

import pytest
from numba.core import caching

from kinprint.compiled import compiled, on_compiling, on_processors


def test_no_folder_to_keep_machine_code_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only package and no home folder: compiled again in each process, but never an error."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    @compiled()
    def double(x: float) -> float:
        return x * 2

    assert double(2.0) == 4.0


def test_compiling_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first function that no earlier process has compiled, and of no other."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    told = []

    @compiled()
    def more(x: float) -> float:
        return x + 1

    on_compiling(lambda: told.append("compiling"))
    assert told == []
    assert (more(1), more(1.5)) == (2, 2.5)
    assert told == ["compiling"]


@pytest.mark.parametrize("processors", [1, 3])
def test_parts_come_back_in_order(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinprint.compiled.processors", lambda: processors)
    assert on_processors(pow, [(base, 2) for base in range(20)]) == [base**2 for base in range(20)]
