"""kinprint identify as a user meets it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import NamedTuple

import pytest
from waiting import PATIENCE, until

pytest.importorskip("lancedb")

from kinprint import fingerprint
from kinprint.cli import main
from kinprint.library import Library
from kinprint.methods import Method

ROOT = Path(__file__).parents[2]
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where these tests run in the background
from kinprint.cli import main
main()
"""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def identify(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs the command in this process: what it prints and how it ends."""
    monkeypatch.setenv("COLUMNS", "150")

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["kinprint", "identify", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Done(int(code) if code is not None else 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """The shipped base model and its twin, which was trained independently."""
    folder = tmp_path_factory.mktemp("identify") / "library"
    Library.open(folder, create=True).add([fingerprint(models / name, cache=False) for name in ("base", "twin")])
    return folder


@pytest.fixture(scope="module")
def suspect(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    file = tmp_path_factory.mktemp("suspect") / "finetune.kinprint"
    fingerprint(models / "finetune", cache=False).save(file)
    return file


def test_the_base_is_found_and_the_twin_is_not(identify: Callable[..., Done], library: Path, suspect: Path) -> None:
    done = identify(suspect, "--library", library)
    assert done.returncode == 0
    assert done.stdout.index("1 relative: base") < done.stdout.index("base") < done.stdout.index("twin")
    assert "Searched: 2 models" in done.stdout


def test_json_is_one_object_and_nothing_else(identify: Callable[..., Done], library: Path, suspect: Path) -> None:
    said = json.loads(identify(suspect, "--library", library, "--json").stdout)
    assert said["format"] == "kinprint-identification/1"
    assert [item["name"] for item in said["relatives"]] == ["base"]
    assert [item["name"] for item in said["others"]] == ["twin"]
    assert said["relatives"][0]["log10_p"] < -6
    assert {"channels", "signs"} <= set(said["relatives"][0]["found_by"])


def test_fail_on_related(identify: Callable[..., Done], library: Path, suspect: Path) -> None:
    assert identify(suspect, "--library", library, "--fail-on", "related").returncode == 3
    assert identify(suspect, "--library", library, "--fail-on", "identical").returncode == 0


def test_a_copy_is_named_first_and_alone(identify: Callable[..., Done], library: Path, models: Path, tmp_path: Path) -> None:
    """A copy under another name: what was left out, and how to see it, is said; with --all it is there."""
    copy = tmp_path / "renamed"
    copytree(models / "base", copy)
    done = identify(copy, "--library", library)
    assert "1 relative: base, with the same weights" in done.stdout
    assert "1 more candidate: not tested" in done.stdout
    assert "twin" not in done.stdout
    said = json.loads(identify(copy, "--library", library, "--all", "--json").stdout)
    assert ([item["name"] for item in said["others"]], said["left_out"]) == (["twin"], 0)


def test_a_model_of_the_library_is_not_its_own_relative(identify: Callable[..., Done], library: Path, models: Path) -> None:
    """The same name and weights: it is said that it is there, and the others are tested."""
    done = identify(models / "base", "--library", library)
    assert "No relative found" in done.stdout
    assert "base is in this library as base" in done.stdout
    assert "twin" in done.stdout


def test_a_search_made_again_asks_no_method(
    identify: Callable[..., Done], library: Path, suspect: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless --no-cache is given, which neither reads nor writes what is kept."""
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path))
    identify(suspect, "--library", library, "--no-cache")
    assert not list(tmp_path.rglob("*"))
    first = identify(suspect, "--library", library, "--json")
    monkeypatch.setattr(Method, "__call__", lambda *_: pytest.fail("a method was asked"))
    assert identify(suspect, "--library", library, "--json").stdout == first.stdout
    with pytest.raises(pytest.fail.Exception, match="a method was asked"):
        identify(suspect, "--library", library, "--no-cache")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere", "--library", "{library}"], 1),
        (["{suspect}", "--library", "{suspect}"], 1),
        (["{suspect}", "--library", "{suspect}.none"], 1),
        (["{suspect}"], 2),
        (["--library", "{library}"], 2),
        (["{suspect}", "--library", "{library}", "--watch", "."], 2),
        (["{suspect}", "--library", "{library}", "--fail-on", "guilty"], 2),
        (["{suspect}", "--library", "{library}", "--alpha", "2"], 2),
        (["{suspect}", "--library", "{library}", "--candidates", "0"], 2),
    ],
)
def test_exit_codes(identify: Callable[..., Done], library: Path, suspect: Path, arguments: list[str], code: int) -> None:
    done = identify(*(argument.format(library=library, suspect=suspect) for argument in arguments))
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


def line_of(file: Path, number: int, process: subprocess.Popen[bytes]) -> str:
    """A whole line of what a process prints, as soon as it is there; fails if the process ends first."""

    def line() -> str:
        ended = process.poll() is not None
        lines = file.read_text().splitlines(keepends=True)
        if len(lines) > number and lines[number].endswith("\n"):
            return lines[number]
        assert not ended, "the watch ended"
        return ""

    return until(line)


def test_watch_identifies_what_arrives_and_survives_what_cannot_be_read(library: Path, suspect: Path, tmp_path: Path) -> None:
    """A damaged file and then a model: one JSON line each; Ctrl-C ends the watch with exit code 0."""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "broken.kinprint").write_bytes(b"not a fingerprint")
    options = ["--library", str(library), "--watch", str(incoming), "--settled", "0.3", "--json"]
    command = [sys.executable, "-c", SCRIPT, "identify", *options]
    printed, errors = tmp_path / "printed", tmp_path / "errors"  # a pipe ends only when all that inherited it have ended
    with printed.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
    try:
        broken = json.loads(line_of(printed, 0, process))
        shutil.copy(suspect, incoming / "arrived.kinprint")
        arrived = json.loads(line_of(printed, 1, process))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PATIENCE)
    finally:
        process.kill()
    assert broken["suspect"]["name"] == "broken.kinprint"
    assert "error" in broken
    assert [item["name"] for item in arrived["relatives"]] == ["base"]
    assert process.returncode == 0
    assert len(printed.read_text().splitlines()) == 2
    assert "Traceback" not in errors.read_text()
