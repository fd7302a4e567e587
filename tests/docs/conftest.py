"""Where examples run: a folder that has the shipped models, and a cache that one page fills for the next."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pages import Session


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one page measured, the next need not measure again."""
    return tmp_path_factory.mktemp("fingerprints")


@pytest.fixture
def folder(tmp_path: Path, models: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own that has `examples/models`, and no hub."""
    shutil.copytree(models, tmp_path / "examples" / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINPRINT_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def session(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A reader in that folder, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return Session()
