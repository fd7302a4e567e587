"""The benchmark of a library of a million models, with a few hundred small ones: it finds the relative and tells times."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def million(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import million
    import search_cost

    monkeypatch.setattr(million, "LLAMA_3_8B", search_cost.SMALL)
    return million


def test_a_relative_is_found_among_random_vectors(million: ModuleType, tmp_path: Path) -> None:
    """Every candidate has a fingerprint, the base is the only relative, and every part that is timed was called."""
    million.build(tmp_path / "library", 300)
    first, again = million.identified(tmp_path / "library", million.family()[1], 3, 300)
    assert set(first) == {part for _, _, part in million.PARTS} | {"the rest", "all", "wall"}
    assert set(again) == set(first) - {"open the library"}
    assert first["tests"] > 0
