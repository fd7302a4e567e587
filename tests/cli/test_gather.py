"""kinprint gather, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinprint.cli import main
from kinprint.transforms import apply


def ran(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["kinprint", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture
def merged(models: Path, tmp_path: Path) -> Path:
    """0.3 base + 0.7 finetune."""
    apply("merge", models / "base", tmp_path / "merged", others=[models / "finetune"], weights=[0.3, 0.7])
    return tmp_path / "merged"


def test_the_parts_of_a_merge(
    models: Path, merged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON alone, with the weights; the stranger is no part."""
    among = [word for name in ("base", "finetune", "twin") for word in ("--among", models / name)]
    assert ran(monkeypatch, "gather", merged, *among, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "kinprint-gathering/1"
    assert found["kind"] == "linear"
    coefficients = {parent["name"]: parent["coefficient"] for parent in found["parents"]}
    assert coefficients == pytest.approx({"base": 0.3, "finetune": 0.7}, abs=0.01)


def test_the_report(models: Path, merged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(monkeypatch, "gather", merged, "--among", models / "base", "--among", models / "finetune") == 0
    shown = capsys.readouterr().out
    assert "LINEAR" in shown
    assert "0.700" in shown
    assert "by layer" in shown


def test_a_library(
    models: Path, merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parts are found in it, and everything in it counts as searched."""
    pytest.importorskip("lancedb")
    from kinprint.fingerprints import fingerprint
    from kinprint.library import Library

    Library.open(tmp_path / "lib", create=True).add(fingerprint(models / name) for name in ("base", "finetune", "twin"))
    assert ran(monkeypatch, "gather", merged, "--library", tmp_path / "lib", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {parent["name"] for parent in found["parents"]} == {"base", "finetune"}
    assert found["searched"]["candidates"] == 3


def test_markup_in_names_is_text(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kinprint.fingerprints import Fingerprint, fingerprint

    measured = fingerprint(models / "base")
    Fingerprint("[red]evil[/]", measured.traits, measured.facts).save(tmp_path / "evil.kinprint")
    assert ran(monkeypatch, "gather", models / "finetune", "--among", tmp_path / "evil.kinprint") == 0
    assert "[red]evil[/]" in capsys.readouterr().out


def test_wrong_use_and_unreadable_input(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(monkeypatch, "gather", models / "base") == 2
    assert ran(monkeypatch, "gather", models / "base", "--among", models / "finetune", "--alpha", 2) == 2
    capsys.readouterr()
    assert ran(monkeypatch, "gather", tmp_path / "nothing", "--among", models / "base") == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
