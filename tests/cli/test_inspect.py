"""kinprint inspect: how a model is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kinprint
from kinprint.cli import app


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_model_and_its_fingerprint_say_the_same(models: Path, tmp_path: Path) -> None:
    """Family and reason, sizes, and every matrix by its role."""
    file = tmp_path / "base.kinprint"
    kinprint.fingerprint(models / "base", cache=False).save(file)
    live, kept = (json.loads(run(place, "--json")) for place in (models / "base", file))
    assert (live["family"], live["guessed"], live["positions"]) == ("llama", False, "rope")
    for key in ("family", "why", "guessed", "model_type", "sizes", "positions", "named", "layer_kinds", "notes"):
        assert live[key] == kept[key], key
    roles = {line["role"]: line["shape"] for line in live["roles"]}
    assert roles["k"] == [64, 128]
    assert {line["role"]: line["shape"] for line in kept["roles"]}.items() <= roles.items()


def test_what_is_shown(models: Path) -> None:
    shown = run(models / "base")
    assert "read as Llama (known)" in shown
    assert "Tensors by role" in shown


def test_a_table_of_ones_own(models: Path, tmp_path: Path) -> None:
    """--table reads the model by a file; --as by the tables of a type; a wrong one says so."""
    table = tmp_path / "mine.toml"
    table.write_text('like = "llama"\nmodel_types = ["mine"]\n')
    assert json.loads(run(models / "base", "--json", "--table", table))["family"] == "mine"
    assert json.loads(run(models / "base", "--json", "--as", "mistral"))["family"] == "llama"
    with pytest.raises(kinprint.KinprintError, match="its tensors are not those of"):
        CliRunner().invoke(app, ["inspect", str(models / "base"), "--as", "gpt2"], catch_exceptions=False)
    with pytest.raises(kinprint.KinprintError, match="the nearest known ones: llama"):
        CliRunner().invoke(app, ["inspect", str(models / "base"), "--as", "llamma"], catch_exceptions=False)


@pytest.mark.parametrize("text", ["not toml [", "x = 1", "like = 'nobody'", "tensors = 3\nnorm = 'rms'"])
def test_a_file_that_is_no_table(models: Path, tmp_path: Path, text: str) -> None:
    table = tmp_path / "bad.toml"
    table.write_text(text)
    with pytest.raises(kinprint.KinprintError, match=r"bad"):
        CliRunner().invoke(app, ["inspect", str(models / "base"), "--table", str(table)], catch_exceptions=False)
