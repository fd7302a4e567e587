"""kinprint transform NAME: every transform has a command whose options are those of its function."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from kinprint import open_checkpoint, transforms
from kinprint.cli import app, main

RUN = CliRunner()


@pytest.mark.parametrize("name", transforms.known())
def test_help_teaches(name: str) -> None:
    """The help text says what it does and shows a command line that names it."""
    result = RUN.invoke(app, ["transform", name, "--help"])
    assert result.exit_code == 0
    assert f"kinprint transform {name} examples/" in " ".join(result.output.split())


def test_every_option_has_a_text() -> None:
    """Options take it from the docstring of the function: one that is misspelt there would be offered without a word."""
    group = typer.main.get_command(app).commands["transform"]  # type: ignore[attr-defined]
    silent = [f"{name} {option.name}" for name, each in group.commands.items() for option in each.params if not option.help]
    assert silent == []


@pytest.mark.parametrize("name", transforms.known())
def test_the_example_works(name: str, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line in the help text makes a model that can be opened."""
    words = transforms.known()[name].example.split()[1:]
    words[words.index("-o") + 1] = str(tmp_path / "new")
    monkeypatch.chdir(models.parents[1])
    result = RUN.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert open_checkpoint(tmp_path / "new").config["vocab_size"] > 0


def test_errors_are_one_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 and one line that names the input."""
    monkeypatch.setattr("sys.argv", ["kinprint", "transform", "cast", str(tmp_path / "nowhere"), "-o", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert "nowhere" in lines[0]


def test_lists_of_numbers(models: Path, tmp_path: Path) -> None:
    """`--layers 0,1,3` is a list; anything else in it is wrong use."""
    base = ["transform", "prune", str(models / "base"), "-o", str(tmp_path / "new"), "--kind", "depth", "--layers"]
    assert RUN.invoke(app, [*base, "0,one"]).exit_code == 2
    assert RUN.invoke(app, [*base, "0,1,3"]).exit_code == 0
    assert open_checkpoint(tmp_path / "new").config["num_hidden_layers"] == 3


def test_a_drawn_seed_is_told(models: Path, tmp_path: Path) -> None:
    """What stderr says repeats the copy; a seed that was given needs no telling."""
    command = ["transform", "permute", str(models / "base"), "-o"]
    said = RUN.invoke(app, [*command, str(tmp_path / "a")]).stderr
    seed = re.search(r"seed (\d+) \(--seed \1 makes the same again\)", said)
    assert seed is not None
    again = RUN.invoke(app, [*command, str(tmp_path / "b"), "--seed", seed[1]])
    assert "seed" not in again.stderr
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert one == other


def test_what_was_left_out_is_said(models: Path, tmp_path: Path) -> None:
    """Notes go to stderr."""
    RUN.invoke(app, ["transform", "cast", str(models / "base"), "-o", str(tmp_path / "one")])
    result = RUN.invoke(app, ["transform", "disguise", str(tmp_path / "one"), "-o", str(tmp_path / "two"), "--no-check"])
    assert result.exit_code == 0
    assert "note" not in result.stderr  # a Llama allows every disguise
