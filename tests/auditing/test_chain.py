"""Files that state a chain, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinprint.auditing.chain import Stage, named, read_chain, require_order
from kinprint.errors import ChainError

TOML = """
[[checkpoint]]
path = "step0"
step = 0
date = 2026-03-01

[[checkpoint]]
path = "org/run@step1000"
step = 1_000
date = "2026-03-09T12:00:00+09:00"
"""


def test_toml_and_json_state_the_same(tmp_path: Path) -> None:
    """Paths are relative to the file where something lies there; others may be hub ids. Times become days."""
    (tmp_path / "step0").mkdir()
    (tmp_path / "chain.toml").write_text(TOML)
    chain = read_chain(tmp_path / "chain.toml")
    assert chain == [
        Stage(str(tmp_path / "step0"), "step0", 0, "2026-03-01"),
        Stage("org/run@step1000", "run@step1000", 1000, "2026-03-09"),
    ]
    assert [stage.label for stage in chain] == ["step 0", "step 1,000"]
    entries = [
        {"path": "step0", "step": 0, "date": "2026-03-01"},
        {"path": "org/run@step1000", "step": 1000, "date": "2026-03-09"},
    ]
    (tmp_path / "chain.json").write_text(json.dumps({"checkpoint": entries}))
    assert read_chain(tmp_path / "chain.json") == chain


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("checkpoint = 3", "states no list"),
        ("", "states no list"),
        ("[[checkpoint]]\nstep = 1", "states no path"),
        ('[[checkpoint]]\npath = "a"\nstep = -1', "states -1 as its step"),
        ('[[checkpoint]]\npath = "a"\nstep = true', "states True as its step"),
        ('[[checkpoint]]\npath = "a"\ndate = "in spring"', "states in spring as its date"),
        ('[[checkpoint]]\npath = "a"\ndate = 12', "states 12 as its date"),
        ("[[checkpoint", "is no chain"),
    ],
)
def test_what_is_no_chain_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "chain.toml").write_text(text)
    with pytest.raises(ChainError, match=problem):
        read_chain(tmp_path / "chain.toml")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[" * 100_000, b'{"checkpoint": [1]}', b"[]"])
def test_hostile_json_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "chain.json").write_bytes(data)
    with pytest.raises(ChainError):
        read_chain(tmp_path / "chain.json")


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    """It is a place like any other that is not there."""
    (tmp_path / "chain.toml").write_text(f'[[checkpoint]]\npath = "{"a" * 300}"')
    assert read_chain(tmp_path / "chain.toml")[0].place == "a" * 300


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="cannot be read"):
        read_chain(tmp_path / "chain.toml")


def test_order_is_required() -> None:
    """Steps rise; dates may be the same."""
    a, b = Stage("a", "a", 10, "2026-03-02"), Stage("b", "b", 20, "2026-03-02")
    require_order([a, b])
    with pytest.raises(ChainError, match="step 10 stands behind step 20"):
        require_order([b, a])
    with pytest.raises(ChainError, match="2026-03-01 stands behind 2026-03-02"):
        require_order([a, Stage("c", "c", 30, "2026-03-01")])
    with pytest.raises(ChainError, match="two checkpoints or more"):
        require_order(named(["a"]))


def test_names_are_short() -> None:
    assert [stage.name for stage in named(["runs/step0", "step1.kinprint", "org/name"])] == ["step0", "step1", "name"]
