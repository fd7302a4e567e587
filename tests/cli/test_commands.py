"""The command line as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import kinprint
from waiting import PATIENCE

from kinprint.cli import main

ROOT = Path(__file__).parents[2]


def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-c", "from kinprint.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)


def test_compare_says_the_verdict_first(models: Path) -> None:
    done = kinprint("compare", models / "base", models / "finetune")
    assert done.returncode == 0
    assert (
        done.stdout.index("RELATED") < done.stdout.index("Tests (these decide)") < done.stdout.index("Scores (these describe")
    )
    assert "no evidence" in done.stdout


def test_json_is_one_object_and_nothing_else(models: Path) -> None:
    done = alone("compare", models / "base", models / "twin", "--json")
    assert json.loads(done.stdout)["verdict"] == "no-evidence"


@pytest.mark.parametrize(
    ("suspect", "verdict", "code"), [("finetune", "related", 3), ("base", "related", 3), ("twin", "related", 0)]
)
def test_fail_on(models: Path, suspect: str, verdict: str, code: int) -> None:
    assert kinprint("compare", models / "base", models / suspect, "--fail-on", verdict).returncode == code


def test_one_part(models: Path) -> None:
    """The exit code is that of the part: a fine-tune's embedding only follows its layers."""
    pair = ("compare", models / "base", models / "finetune", "--fail-on", "related")
    assert kinprint(*pair, "--part", "ffn").returncode == 3
    done = kinprint(*pair, "--part", "input-embedding")
    assert done.returncode == 0
    assert "NO-EVIDENCE" in done.stdout


def test_a_part_that_is_misspelt(models: Path) -> None:
    done = kinprint("compare", models / "base", models / "twin", "--part", "visoin tower")
    assert "did you mean 'vision tower'?" in " ".join(done.stderr.replace("│", " ").split())


def test_fingerprints_are_compared_like_models(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "base.kinprint"
    assert kinprint("fingerprint", models / "base", "-o", file).returncode == 0
    done = kinprint("compare", file, models / "base", "--json")
    assert json.loads(done.stdout)["verdict"] == "identical"


def test_quick_says_what_was_read(models: Path, tmp_path: Path) -> None:
    """Two quick fingerprints and a verdict, and each says what share of the bytes it rests on."""
    done = kinprint("fingerprint", models / "base", "--quick", "-o", tmp_path / "base.kinprint")
    assert "quick: 12.0% of the bytes read" in done.stdout
    done = kinprint("compare", tmp_path / "base.kinprint", models / "finetune", "--quick")
    assert "RELATED" in done.stdout
    assert "quick: 12.0%" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("compare", "nowhere", "nowhere"), 1),
        (("fingerprint", "nowhere.kinprint"), 1),
        (("compare", "one"), 2),
        (("compare", "a", "b", "--fail-on", "guilty"), 2),
        (("compare", "a", "b", "--alpha", "7"), 2),
        (("compare", "a", "b", "--part", "knees"), 2),
        (("compare", "a", "b", "--part", "FFN", "--in-toto", "c"), 2),
        (("compare", "a", "b", "--deep", "--quick"), 2),
        (("nonsense",), 2),
    ],
)
def test_wrong_use_and_unreadable_input(arguments: tuple[str, ...], code: int) -> None:
    """2 for wrong use, 1 for an input that cannot be read; never a traceback."""
    done = kinprint(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.strip().count("\n") == 0
        assert "nowhere" in done.stderr


def test_an_output_that_cannot_be_written(models: Path, tmp_path: Path) -> None:
    """The shell learns it, too."""
    done = alone("fingerprint", models / "base", "-o", tmp_path / "no" / "such" / "folder.kinprint")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_methods() -> None:
    done = kinprint("methods", "--json")
    names = {item["name"]: item["kind"] for item in json.loads(done.stdout)}
    assert {"channels": "test", "heads": "test", "std-profile": "score"}.items() <= names.items()
    assert "null hypothesis" in kinprint("methods").stdout


@pytest.mark.parametrize("command", ["compare", "fingerprint", "methods"])
def test_help_shows_an_example(command: str) -> None:
    assert f"kinprint {command}" in kinprint(command, "--help").stdout


def test_an_interrupt_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with exit code 130 and says so."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kinprint.cli.compare.read", interrupted)
    monkeypatch.setattr("sys.argv", ["kinprint", "compare", ".", "."])
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip() == "kinprint: interrupted"
