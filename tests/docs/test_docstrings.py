"""Every example in a docstring runs and shows what it gives."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


def examples_of(path: Path) -> bool:
    return ">>> " in path.read_text(encoding="utf-8")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


MODULES = sorted(module_name(path) for path in SOURCE.rglob("*.py") if examples_of(path))
EXTRAS = {
    "kinprint.library.store": ["lancedb"],
    "kinprint.observation.observe": ["torch", "transformers"],
    "kinprint.verbs": ["lancedb", "skbio"],
    "kinprint.verbs_black_box": ["torch", "transformers"],
}
"""What the examples of a module need that not everybody has installed."""


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str, folder: Path) -> None:
    """In a folder that has the shipped models; those of all its docstrings, one after another."""
    for extra in EXTRAS.get(name, ()):
        pytest.importorskip(extra)
    module = importlib.import_module(name)
    found = [test for test in doctest.DocTestFinder().find(module, name) if test.examples]
    assert found
    for test in found:
        complaints: list[str] = []
        result = doctest.DocTestRunner(verbose=False).run(test, out=complaints.append)
        assert not result.failed, "".join(complaints)


def test_no_example_is_skipped() -> None:
    assert [path.name for path in SOURCE.rglob("*.py") if "doctest: +SKIP" in path.read_text(encoding="utf-8")] == []
