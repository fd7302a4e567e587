"""What all tests share: a cache of their own, the shipped models, and where real data may lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from hub_server import HubServer

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


@pytest.fixture(scope="session")
def tiny_zoo() -> Path:
    """The smallest zoo, built once and kept between runs; members whose recipe changed are built again."""
    pytest.importorskip("torch")
    from filelock import FileLock

    from kinprint.zoo.build import build

    folder = ROOT / ".pytest_cache" / "zoo-tiny"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        build(folder, "tiny")
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mapping[str, Path]], HubServer]]:
    """Call it with `org/name` or `org/name@revision` -> folder: a hub on this machine, with a cache of the test's own."""
    from huggingface_hub import constants

    home = tmp_path / "hub-home"
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))  # read when the library was imported
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))

    with ExitStack() as servers:

        def serve(models: Mapping[str, Path]) -> HubServer:
            server = servers.enter_context(HubServer(models))
            monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
            return server

        yield serve
