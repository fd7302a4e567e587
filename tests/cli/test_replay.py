"""A comparison made again: the same on the same models, and what differs is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import kinprint


@pytest.fixture
def file(models: Path, tmp_path: Path) -> Path:
    """The JSON of a comparison."""
    target = tmp_path / "twin.json"
    target.write_text(kinprint("compare", models / "base", models / "twin", "--json").stdout)
    return target


def test_the_same(models: Path, file: Path) -> None:
    """Nothing differs on one machine, whatever the cache says."""
    done = kinprint("replay", file, models / "base", models / "twin", "--no-cache")
    assert (done.returncode, done.stdout) == (0, "the same: no-evidence, 8 tests\n")


@pytest.mark.parametrize("options", [["--part", "FFN"], ["--quick"], ["--alpha", "0.01"], ["--scores"]])
def test_options_are_those_of_the_file(models: Path, tmp_path: Path, options: list[str]) -> None:
    target = tmp_path / "other.json"
    target.write_text(kinprint("compare", models / "base", models / "finetune", "--json", *options).stdout)
    assert json.loads(target.read_text())["made"]["counted"]
    assert kinprint("replay", target, models / "base", models / "finetune").returncode == 0


def test_other_models_and_changed_files_are_told(models: Path, file: Path) -> None:
    """Another suspect, and a p-value that somebody wrote into the file."""
    done = kinprint("replay", file, models / "base", models / "finetune", "--json")
    found = {each["what"] for each in json.loads(done.stdout)["differences"]}
    assert done.returncode == 3
    assert {"fingerprint of the suspect", "verdict", "log10 p", "neurons, log10_p"} <= found
    data = json.loads(file.read_text())
    next(item for item in data["evidence"] if item["method"] == "channels")["log10_p"] = -12.0
    file.write_text(json.dumps(data))
    done = kinprint("replay", file, models / "base", models / "twin")
    assert done.returncode == 3
    assert "channels, log10_p" in done.stdout
    assert "neurons" not in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"made": None},
        {"made": {"options": {"deep": 1, "quick": False, "scores": False, "alpha": 1e-6, "part": None}}},
        {"made": {"options": {"deep": False, "quick": False, "scores": False, "alpha": 7.0, "part": None}}},
        {"made": {"options": {"deep": False, "quick": False, "scores": False, "alpha": 1e-6, "part": "knees"}}},
        {"evidence": 3},
    ],
)
def test_files_that_are_no_comparison(models: Path, file: Path, change: dict[str, Any]) -> None:
    """One line that names the file and the remedy."""
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    done = kinprint("replay", file, models / "base", models / "twin")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "give " in done.stderr


def test_no_json(models: Path, tmp_path: Path) -> None:
    for content in (b"", b"[]", b"\xff\xfe", b"{" * 100):
        (tmp_path / "broken.json").write_bytes(content)
        assert kinprint("replay", tmp_path / "broken.json", models / "base", models / "twin").returncode == 1
    assert kinprint("replay", tmp_path / "missing.json", models / "base", models / "twin").returncode == 1
