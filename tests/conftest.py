"""What all tests share: a cache of their own, the shipped models, and where real data may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the shipped models: base, finetune, twin."""
    return ROOT / "examples" / "models"


@pytest.fixture(scope="session")
def data() -> Path:
    """Published measurements of released models, which lie beside the repository where they are available."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the published measurements are not here (../shared/data)")
    return folder
