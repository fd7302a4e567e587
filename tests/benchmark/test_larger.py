"""The larger zoo (`benchmarks/larger.py`): what it makes, and how it counts. Training it takes hours and is not tested here."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from kinprint.benchmark import Pair
from kinprint.benchmark.result import BenchmarkResult, PairOutcome

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
    outcomes = (
        outcome("related", "fine-tune", -30.0, -20.0),
        outcome("related", "fine-tune", -40.0, -2.0),
        outcome("unrelated", "same family", -1.0, -2.0),
        outcome("unrelated", "other family", -0.5, None),
    )
    result = BenchmarkResult("zoo", "", "", 5, {}, (), outcomes)
    assert larger.table(result).splitlines()[2:] == [
        "| fine-tune | 2 | 1 | 0.01 | 2 | 1e-30 |",
        "| strangers | 2 | 0 | 0.01 | 0 | 0.1 |",
    ]


def outcome(truth: str, kind: str, deep: float, shallow: float | None) -> PairOutcome:
    pair = Pair("a", "b", truth, kind)  # type: ignore[arg-type]
    return PairOutcome(pair, verdict="related", log10_p=deep, shallow_log10_p=shallow)
