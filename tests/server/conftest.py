"""A server over a small library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import kinprint
from kinprint.library import Library

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from served import MODELS, Running, serve

from kinprint.server.settings import Settings

NAMES = ("base", "finetune", "twin")


@pytest.fixture(scope="session")
def fingerprints() -> dict[str, kinprint.Fingerprint]:
    return {name: kinprint.fingerprint(MODELS / name) for name in NAMES}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, fingerprints: dict[str, kinprint.Fingerprint]) -> Settings:
    folder = tmp_path_factory.mktemp("served")
    library = folder / "library"
    Library.open(library, create=True).add(list(fingerprints.values()))
    reports = folder / "reports"
    reports.mkdir()
    (reports / "one & two.html").write_text("<p>read me<script>document.title='ran'</script></p>")
    (reports / "secret.txt").write_text("secret")
    (reports / "link.html").symlink_to(reports / "secret.txt")
    return Settings(str(library), (MODELS,), reports, "", ("127.0.0.1", "localhost"))


@pytest.fixture(scope="module")
def running(settings: Settings) -> Iterator[Running]:
    with serve(settings) as running:
        yield running


@pytest.fixture
def guarded(settings: Settings) -> Iterator[Running]:
    """The same with a token."""
    with serve(replace(settings, token="right-token", hosts=())) as running:
        yield running
