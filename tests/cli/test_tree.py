"""kinprint tree."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kinprint.cli import main

pytest.importorskip("skbio")


def ran(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["kinprint", "tree", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_the_shipped_models(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fine-tune joins its base, the twin nobody; one object on stdout, Newick and picture in their files."""
    names = [str(models / name) for name in ("base", "finetune", "twin")]
    newick, svg = tmp_path / "tree.nwk", tmp_path / "tree.svg"
    assert ran(monkeypatch, *names, "--json", "--newick", str(newick), "--svg", str(svg)) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["singletons"] == ["twin"]
    (family,) = said["families"]
    assert {node["model"] for node in family["nodes"]} == {"base", "finetune"}
    assert family["arrows"] == []
    assert family["root"] is None
    assert newick.read_text().startswith("(finetune:")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")


def test_on_the_terminal(models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is related, how far, and that it cannot be told which of the two came first."""
    assert ran(monkeypatch, str(models / "base"), str(models / "finetune")) == 0
    shown = capsys.readouterr().out
    assert "Family 1: 2 models" in shown
    assert "one may descend from the other" in " ".join(shown.split())
    assert "No root is known" in shown


def test_wrong_use(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No models or one: exit 2. A file that is not there: exit 1 and one line."""
    assert ran(monkeypatch) == 2
    assert ran(monkeypatch, str(models / "base")) == 2
    assert ran(monkeypatch, str(models / "base"), str(models / "twin"), "--alpha", "2") == 2
    capsys.readouterr()
    assert ran(monkeypatch, str(models / "base"), str(tmp_path / "none.kinprint")) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_library(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All models of a library are taken."""
    pytest.importorskip("lancedb")
    from kinprint import fingerprint
    from kinprint.library import Library

    library = Library.open(tmp_path / "library", create=True)
    library.add([fingerprint(models / name) for name in ("base", "finetune", "twin")])
    assert ran(monkeypatch, "--library", str(tmp_path / "library"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["singletons"] == ["twin"]
