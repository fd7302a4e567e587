"""What all tests share: a cache of their own, the shipped models, where real data may lie, and what a run says it left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer

for library in ("OMP", "NUMBA"):  # each worker of pytest-xdist has one processor: more threads only wait for each other
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # bitsandbytes would compile for half a minute what runs for a millisecond

ROOT = Path(__file__).parents[1]
ELSEWHERE = "the published measurements are not here (../shared/data)"
"""Why a test is left out that no package could make run. It counts neither as passed nor as skipped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail if a test was skipped for want of a program or a package")


LONGEST = (
    "benchmark/test_tiny_zoo.py",
    "methods/test_exchangeability_methods.py",
    "methods/test_matched.py",
    "zoo/test_build.py",
    "zoo/test_free_changes.py",
    "engines/test_ray.py",
    "engines/test_processes.py",
    "library/test_concurrent.py",
    "docs/test_examples.py",
    "checkpoints/remote/test_byte_ranges.py",
    "architectures/test_mixed_families.py",
    "transforms/test_mixed_families.py",
    "transforms/test_disguises.py",
    "comparison/test_identity.py",
    "methods/test_labels.py",
)
"""Files that take longest. They come first, so that all workers end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return ("without its data", "-", "NO DATA") if report.skipped and _reason(report) == ELSEWHERE else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    passed = session.exitstatus == pytest.ExitCode.OK
    if passed and session.config.getoption("--no-skips") and _left_out(session.config, "skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line of the run what was not tested, and how to get it."""
    left_out = _left_out(config, "skipped", "without its data")
    if left_out:
        listed = "; ".join(f"{reason} ({count})" for reason, count in left_out.most_common())
        config.pluginmanager.get_plugin("terminalreporter").write_line(f"NOT TESTED: {listed}", red=True)


def _left_out(config: pytest.Config, *categories: str) -> Counter[str]:
    """How many tests, or modules of tests, were left out for each reason."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")  # not there in a worker
    reports = [report for category in categories for report in reporter.stats.get(category, [])] if reporter else []
    return Counter(_reason(report) for report in {report.nodeid: report for report in reports}.values())


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    return str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")


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
        pytest.skip(ELSEWHERE)
    return folder


@pytest.fixture(scope="session")
def tiny_zoo() -> Path:
    """The smallest zoo, built once and kept between runs ($KINPRINT_TEST_ZOO may say where); members whose recipe changed are
    built again. Where several workers test, one of them builds it and the others go on."""
    pytest.importorskip("torch")
    from filelock import FileLock

    from kinprint.zoo.build import build

    folder = Path(os.environ.get("KINPRINT_TEST_ZOO") or ROOT / ".pytest_cache" / "zoo-tiny")
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        build(folder, "tiny", jobs=1 if "PYTEST_XDIST_WORKER" in os.environ else None)
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
