"""The command line as a user meets it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from command_line import kinprint
from waiting import PATIENCE

from kinprint.cli import main
from kinprint.cli._models import announce
from kinprint.cli._signs import NAME, degrade_signs

ROOT = Path(__file__).parents[2]


def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-c", "from kinprint.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)


@pytest.mark.parametrize("suspect", ["finetune", "twin", "base"])
def test_a_comparison_fits_on_a_screen(models: Path, monkeypatch: pytest.MonkeyPatch, suspect: str) -> None:
    """At most 40 lines at 80 columns; the verdict is the last thing that is said; no name is broken, and no score is shown."""
    monkeypatch.setenv("COLUMNS", "80")
    done = kinprint("compare", models / "base", models / suspect)
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("╰")
    assert any(word in "".join(lines[-9:]) for word in ("RELATED", "NO-EVIDENCE", "IDENTICAL"))
    assert "matched-invariants" in done.stdout
    assert "norm-gains" not in done.stdout
    assert f"base and {suspect}" in done.stdout


def test_everything_and_one_line(models: Path) -> None:
    """-v says what each test compared, why others do not apply, scores and context; -q one line."""
    pair = ("compare", models / "base", models / "twin")
    told = kinprint(*pair, "-v").stdout
    for piece in ("Does not apply", "Context (facts, no evidence)", "Scores (these describe", "what was compared"):
        assert piece in " ".join(told.split())
    assert kinprint(*pair, "-q").stdout.startswith("no-evidence  p ≤ 1.000  base and twin\n")
    assert kinprint(*pair, "-q", "-v").returncode == 2


def test_scores_stand_between_strangers_and_a_copy(models: Path) -> None:
    """Each score beside the median of unrelated pairs and the value of a copy; without the word evidence for either."""
    shown = kinprint("compare", models / "base", models / "twin", "--scores").stdout
    line = next(line for line in shown.splitlines() if "std-profile" in line).split()
    strangers, pair, copy = map(float, line[1:4])
    assert copy == pytest.approx(1)
    assert pair < copy
    assert strangers < copy
    assert line[4:] == ["440", "of", "745"]


def test_terminals_without_our_signs(models: Path) -> None:
    """The report is written in what the terminal has: no traceback."""
    command = [sys.executable, "-m", "kinprint", "compare", models / "base", models / "twin", "-v"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "COLUMNS": "80"}
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "NO-EVIDENCE" in done.stdout.decode("cp1252")


@pytest.mark.parametrize(("signs", "ascii"), [("≤ → ▁█ é 中", "<= -> 18 e ?"), ("…–·", "...-.")])
def test_signs_in_ascii(signs: str, ascii: str) -> None:
    """What an encoding lacks is written in plain letters."""
    degrade_signs()
    assert signs.encode("ascii", NAME).decode() == ascii


def test_where_reports_go_is_looked_at_first(models: Path, tmp_path: Path) -> None:
    """Nothing is measured for a report that cannot be written; what was written is said."""
    nowhere = tmp_path / "missing" / "report.html"
    pair = ("compare", models / "base", models / "twin")
    done = kinprint(*pair, "--html", nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert "report.html: cannot be written" in done.stderr
    there = tmp_path / "report.html"
    done = kinprint(*pair, "--html", there)
    assert f"wrote {there}" in done.stderr
    assert "NO-EVIDENCE" in done.stdout
    assert there.exists()


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("models/bse", "did you mean models/base? hf:models/bse asks the hub"),
        ("modls/base", "did you mean models/base? hf:modls/base asks the hub"),
        ("models/zzz", "no such file or folder; hf:models/zzz asks the hub"),
        ("./bas", "no such file or folder"),
    ],
)
def test_a_mistyped_path_goes_to_no_hub(models: Path, monkeypatch: pytest.MonkeyPatch, typed: str, remedy: str) -> None:
    """What begins like a folder here, or is spelled nearly like a path here, is a path."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    done = kinprint("compare", typed, "models/twin", folder=models.parent)
    assert done.returncode == 1
    assert remedy in done.stderr
    assert "asking" not in done.stderr


def test_the_hub_is_named_before_it_is_asked(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with redirect_stderr(Terminal()) as errors:
        announce("hf:models/twin")
        announce(str(models / "twin"))
    assert errors.getvalue() == "hf:models/twin: not on this disk, asking http://127.0.0.1:9\n"


@pytest.mark.parametrize(("option", "shown"), [("-h", "Usage: kinprint"), ("-V", "kinprint 0.")])
def test_short_options(option: str, shown: str) -> None:
    assert kinprint(option).stdout.startswith(shown)


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
    assert "quick: 11.9% of the bytes read" in done.stdout
    done = kinprint("compare", tmp_path / "base.kinprint", models / "finetune", "--quick")
    assert "RELATED" in done.stdout
    assert "bytes read: quick: 11.9% of the reference, quick: 11.9% of the suspect" in done.stdout


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


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing packages, and a hub that does not answer, are findings with a remedy; the exit code is 0."""
    from kinprint.cli import doctor

    there = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "ray" else there(name))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = kinprint("doctor")
    assert done.returncode == 0
    assert "missing: pip install" in done.stdout
    assert "kinprint[cluster]" in done.stdout
    assert "http://127.0.0.1:9 does not answer" in " ".join(done.stdout.split())
    said = json.loads(kinprint("doctor", "--json", "--offline").stdout)
    assert (said["hub"]["answers"], said["extras"]["cluster"]["ray"]) == (None, None)
    assert said["packages"]["numpy"]


def test_what_is_kept_can_be_seen_and_removed(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only kinprint's own folders are removed: somebody may have named a folder of theirs as cache."""
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path))
    (tmp_path / "mine.txt").write_text("mine")
    kinprint("compare", models / "base", models / "twin")
    kept = {row["kind"]: row["files"] for row in json.loads(kinprint("cache", "list", "--json").stdout)["kept"]}
    assert kept["fingerprints"] == 2
    assert kept["evidence"] > 0
    assert kinprint("cache", "clear", "evidence").stdout.startswith(f"evidence: {kept['evidence']} files removed")
    assert (tmp_path / "fingerprints").exists()
    assert kinprint("cache", "clear").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    done = kinprint("cache", "clear", "remot")
    assert (done.returncode, "did you mean 'remote'?" in done.stderr) == (2, True)


def test_a_misspelt_verdict() -> None:
    done = kinprint("compare", "a", "b", "--fail-on", "relatd")
    assert (done.returncode, "did you mean 'related'?" in done.stderr) == (2, True)
