"""kinprint verify: exit codes that a build server may rely on, and output that strangers' words do not disturb."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kinprint.cli import app

EVIL = "\x1b[31m[red]x[/nope]\n\u202e../../etc"


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def mirror(models: Path, tmp_path: Path) -> Path:
    """A true declaration, a false one, one of something that is not here, a circle, a hostile card, and no model at all."""
    cards: dict[str, tuple[str, Any]] = {
        "base": ("base", "acme/true"),
        "true": ("finetune", "acme/base"),
        "false": ("twin", "acme/base"),
        "lost": ("twin", "acme/nowhere"),
        "evil": ("twin", EVIL),
    }
    for name, (source, base) in cards.items():
        folder = tmp_path / "mirror" / "acme" / name
        shutil.copytree(models / source, folder)
        (folder / "README.md").write_text(f"---\n{json.dumps({'base_model': base})}\n---\n")
    (tmp_path / "mirror" / "acme" / "broken").mkdir()
    (tmp_path / "mirror" / "acme" / "broken" / "model.safetensors").write_bytes(b"no model")
    return tmp_path / "mirror"


def test_exit_codes(mirror: Path) -> None:
    """0 confirmed, 3 contradicted, 4 not found under --strict, 1 unreadable, 2 wrong use."""
    options = ("--models", mirror, "--offline", "--no-deep")
    assert ran(mirror / "acme" / "true", *options).exit_code == 0
    assert ran(mirror / "acme" / "true", *options, "--strict").exit_code == 0
    assert ran(mirror / "acme" / "false", *options).exit_code == 3
    assert ran(mirror / "acme" / "lost", *options).exit_code == 0
    assert ran(mirror / "acme" / "lost", *options, "--strict").exit_code == 4
    assert ran().exit_code == 2
    assert ran(mirror, "--all", mirror).exit_code == 2
    assert ran("https://example.org/model", "--offline").exit_code == 2
    broken = ran(mirror / "acme" / "broken", *options)
    assert broken.exit_code == 1
    assert "Traceback" not in broken.output


def test_one_object(mirror: Path) -> None:
    """--json prints what docs/verify.md says, and nothing else."""
    found = json.loads(ran(mirror / "acme" / "true", "--models", mirror, "--offline", "--json").stdout)
    assert (found["format"], found["conclusion"]) == ("kinprint-verification/1", "confirmed")
    assert found["declarations"][0]["base"] == "acme/base"
    assert found["declarations"][0]["declared_in"] == ["card"]


def test_a_mirror(mirror: Path) -> None:
    """Every model is verified; one that cannot be read is named and does not end the run; circles are named."""
    done = ran("--all", mirror, "--offline", "--no-deep", "--json")
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert found["format"] == "kinprint-verifications/1"
    conclusions = {one["model"]: one["conclusion"] for one in found["models"]}
    assert conclusions == {
        "acme/base": "confirmed",
        "acme/evil": "not-testable",
        "acme/false": "contradicted",
        "acme/lost": "not-testable",
        "acme/true": "confirmed",
    }
    assert [one["model"] for one in found["unreadable"]] == ["acme/broken"]
    assert found["circles"] == [["acme/base", "acme/true"]]


def test_hostile_words(mirror: Path) -> None:
    """Markup is text, control characters are escaped, and no line is a stranger's own."""
    for arguments in ((mirror / "acme" / "evil",), ("--all", mirror)):
        done = ran(*arguments, "--offline", "--no-deep")
        assert not {"\x1b", "\u202e"} & set(done.output)
        assert "[red]x[/nope]" in done.output


def test_undeclared_relatives(models: Path, mirror: Path) -> None:
    """A model that declares nothing beside one that it shares weights with."""
    (mirror / "acme" / "true" / "README.md").unlink()
    done = ran(mirror / "acme" / "true", "--offline", "--against", models / "base", "--against", models / "twin", "--json")
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert found["conclusion"] == "undeclared-relative"
    assert [one["name"] for one in found["undeclared_relatives"]] == ["base"]
