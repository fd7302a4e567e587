"""The larger zoo (`benchmarks/larger.py`): what it makes, and how it counts. Training it takes hours and is not tested here."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from kinprint.benchmark import Pair

pytest.importorskip("torch")


@pytest.fixture
def larger(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("larger")


def test_parents_come_before_children(larger: ModuleType) -> None:
    """Whenever time ends, what is there can be compared."""
    seen: set[str] = set()
    for recipe in larger.members():
        assert set(recipe.needs) <= seen
        seen.add(recipe.member.name)
    assert {"llama-0", "llama-1", "gpt2-0", "gpt2-1", "gpt_neox-0", "gpt2-0-pruned-width-disguise"} <= seen


def test_nothing_is_begun_after_the_deadline(larger: ModuleType, tmp_path: Path) -> None:
    assert larger.build(tmp_path, "10m", "cpu", deadline=0.0) == 0


def test_kinds_are_counted_apart(larger: ModuleType) -> None:
    """The weakest p-value of relatives, the strongest of strangers; a miss is counted as one."""
    answers = (
        larger.Answer(Pair("a", "b", "related", "fine-tune"), -20.0, -30.0),
        larger.Answer(Pair("a", "c", "related", "fine-tune"), -2.0, -40.0),
        larger.Answer(Pair("a", "d", "unrelated", "same family"), -2.0, -1.0),
        larger.Answer(Pair("a", "e", "unrelated", "other family"), None, -0.5),
    )
    assert larger.table(answers).splitlines()[2:] == [
        "| fine-tune | 2 | 1 | 0.01 | 2 | 1e-30 |",
        "| strangers | 2 | 0 | 0.01 | 0 | 0.1 |",
    ]
