"""A little of what `python fuzz/run.py` does at length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from run import examine, trials
from targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_seed_is_accepted(target: Target, tmp_path: Path) -> None:
    """Or damaged ones would be refused for the wrong reason."""
    assert target.seeds()
    for name, content in target.seeds().items():
        folder = tmp_path / name
        folder.mkdir()
        assert examine(target, folder, content, name)


def test_no_damaged_file_breaks_a_parser(tmp_path: Path) -> None:
    """One clear error or a result, in little time, of 40 inputs for every parser."""
    found, opened, _ = trials(40 * len(TARGETS), 1, TARGETS, tmp_path)
    assert found == 0
    assert opened.total() > 0
