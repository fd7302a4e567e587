"""`kinprint benchmark` as a user meets it, on the shipped models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Done, kinprint


def benchmark(*arguments: object, folder: Path) -> Done:
    return kinprint("benchmark", *arguments, folder=folder)


@pytest.fixture
def pairs(models: Path, tmp_path: Path) -> Path:
    for name in ("base", "finetune", "twin"):
        (tmp_path / name).symlink_to(models / name)
    rows = [
        {"a": "base", "b": "finetune", "related": True, "relation": "fine-tune"},
        {"a": "base", "b": "twin", "related": False, "relation": "none"},
        {"a": "base", "b": "gone.kinprint", "related": True, "relation": "fine-tune"},
    ]
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(rows))
    return path


def test_every_report(pairs: Path, tmp_path: Path) -> None:
    """From another folder, so that models are found beside the list."""
    out = tmp_path / "out"
    out.mkdir()
    done = benchmark(
        pairs, "--json", "all.json", "--markdown", "page.md", "--html", "page.html", "--calibration", "m.json", folder=out
    )
    assert done.returncode == 0, done.stderr
    assert "base → gone.kinprint" in done.stdout
    pictures = {f"page-{name}.svg" for name in ("roc", "values", "kinds", "calibration")}
    assert {path.name for path in out.iterdir()} == {"all.json", "page.md", "page.html", "m.json"} | pictures
    data = json.loads((out / "all.json").read_text())
    assert data["format"] == "kinprint-benchmark/1"
    assert data["tables"]["standings"][0]["found"] == [1, 1]
    assert json.loads((out / "m.json").read_text())["scores"]["norm-gains"]["pairs"] == 1
    assert str(tmp_path) not in (out / "m.json").read_text()


def test_json_alone_on_stdout(pairs: Path, tmp_path: Path) -> None:
    done = benchmark(pairs, "--json", "-", folder=tmp_path)
    assert [row["verdict"] for row in json.loads(done.stdout)["outcomes"]] == ["related", "no-evidence", None]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("pairs.json", "--zoo", "."), 2),
        (("none.json",), 1),
        (("--zoo", "."), 1),
        (("pairs.json", "--html", "no/such/page.html"), 1),
        (("pairs.json", "--json", "base"), 1),
        (("pairs.json", "--jobs", "0"), 2),
    ],
)
def test_wrong_use_and_unusable_input(pairs: Path, tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    done = benchmark(*arguments, folder=pairs.parent)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.strip().count("\n") == 0


def test_help_shows_an_example(tmp_path: Path) -> None:
    assert "kinprint benchmark --zoo" in benchmark("--help", folder=tmp_path).stdout
