"""kinprint library ... as a user meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from kinprint import Fingerprint, Library, engines
from kinprint.architectures import OpenModel
from kinprint.cli import app
from kinprint.errors import KinprintError, LibraryError
from kinprint.fingerprints import from_model
from kinprint.library.adding import add_models
from kinprint.library.inputs import models_in

pytest.importorskip("lancedb")


def kinprint(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; an error that `main` would print is the last."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(done.exception, KinprintError):
        return 1, done.stdout, str(done.exception)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def as_json(*arguments: object) -> dict[str, Any]:
    code, stdout, _ = kinprint(*arguments, "--json")
    assert code == 0
    return dict(json.loads(stdout))


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    return tmp_path / "lib"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models measured from their weights, in order."""
    found: list[str] = []
    real = from_model._measured

    def counted(model: OpenModel, *rest: Any) -> Fingerprint:
        found.append(model.checkpoint.name)
        return real(model, *rest)

    monkeypatch.setattr(from_model, "_measured", counted)
    return found


def test_the_examples_of_the_help(models: Path, lib: Path, tmp_path: Path) -> None:
    """What the help texts of add, list, merge, export and remove promise."""
    assert kinprint("library", "add", models, "-l", lib)[1] == f"{lib}: 3 new, 0 already there; 3 models\n"
    table = kinprint("library", "list", "-l", lib)[1]
    assert all(name in table for name in ("base", "finetune", "twin", "648,320"))
    told = as_json("library", "list", "-l", lib)
    assert told["format"] == "kinprint-library/1"
    assert [model["name"] for model in told["models"]] == ["base", "finetune", "twin"]
    assert kinprint("library", "export", tmp_path / "files", "-l", lib)[1] == f"{tmp_path / 'files'}: 3 files\n"
    other = tmp_path / "other"
    assert kinprint("library", "merge", lib, "-l", other)[1] == f"{other}: 3 new from {lib}; 3 models\n"
    digest = told["models"][2]["digest"]
    assert kinprint("library", "remove", "twin", "-l", lib)[1] == f"removed twin ({digest[:12]})\n"
    assert kinprint("library", "add", tmp_path / "files", "-l", lib)[1] == f"{lib}: 1 new, 2 already there; 3 models\n"


def test_a_rerun_measures_nothing_again(models: Path, lib: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without the cache of fingerprints; a model whose files changed is measured."""
    assert kinprint("library", "add", models, "-l", lib, "--no-cache")[0] == 0
    assert sorted(measured) == ["base", "finetune", "twin"]
    assert kinprint("library", "add", models, "-l", lib, "--no-cache")[1].startswith(f"{lib}: 0 new, 3 already there")
    assert len(measured) == 3
    copy = lib.parent / "models" / "base"
    shutil.copytree(models / "base", copy)
    for text in ("a", "b"):
        (copy / "README.md").write_text(text)
        told = as_json("library", "add", copy, "-l", lib, "--no-cache")
        assert (told["added"], len(told["there"])) == ([], 1), "other files, the same weights: the same digest"
    assert measured[3:] == ["base", "base"]


def test_one_unreadable_model_does_not_stop_the_others(models: Path, lib: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.kinprint").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    code, stdout, stderr = kinprint("library", "add", tmp_path / "torn.kinprint", "/no/such\nmodel", models / "twin", "-l", lib)
    assert (code, stdout) == (1, f"{lib}: 1 new, 0 already there, 2 unreadable; 1 models\n")
    assert [line.split(":")[0] for line in stderr.splitlines()] == ["kinprint"] * 2
    assert "torn.kinprint" in stderr
    assert "no such file" in stderr


def test_models_are_in_the_library_before_the_last_is_measured(models: Path, lib: Path) -> None:
    """Every result that was told is there for whoever opens the library, while others are still to come."""
    library = Library.open(lib, create=True)
    results = add_models(library, [str(models / name) for name in ("base", "finetune", "twin")])
    first = next(results)
    assert first.new
    assert first.digest in Library.open(lib)
    results.close()
    assert len(library) < 3


def test_an_interruption_loses_nothing_that_was_measured(models: Path, lib: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the second model is measured, before the first was due to be written: the first is in."""

    class Interrupted:
        @staticmethod
        def run(function: Any, items: Any, workers: Any) -> Any:
            yield engines.Outcome(items[0], result=function(items[0]))
            raise KeyboardInterrupt

    monkeypatch.setattr("kinprint.engines.named", lambda name: Interrupted)
    monkeypatch.setattr("kinprint.library.adding.WRITE_EVERY", float("inf"))
    library = Library.open(lib, create=True)
    with pytest.raises(KeyboardInterrupt):
        list(add_models(library, [str(models / "base"), str(models / "twin")]))
    assert [found.name for found in library.models()] == ["base"]


def test_names_of_several_models_are_refused_with_the_candidates(lib: Path) -> None:
    """Nothing is removed, and the message gives what to write instead."""
    library = Library.open(lib, create=True)
    two = [Fingerprint("twin", {"gains.final": [float(number)] * 8}) for number in (1, 2)]
    library.add(two)
    code, _, stderr = kinprint("library", "remove", "twin", "-l", lib)
    assert code == 1
    assert all(each.digest[:12] in stderr for each in two)
    assert len(library) == 2
    assert [each["digest"] for each in as_json("library", "remove", two[0].digest[:12], "-l", lib)["removed"]] == [
        two[0].digest
    ]


def test_names_of_strangers_are_text(lib: Path) -> None:
    """Markup and control characters of a fingerprint that somebody sent change nothing on the terminal."""
    hostile = "[red]x[/] [link=http://a]"
    sent = Fingerprint(hostile, {"gains.final": [1.0] * 8}, {"family": "a\x1b[2J"}, {"source": "\x1b[2J"})
    Library.open(lib, create=True).add([sent])
    _, stdout, _ = kinprint("library", "list", "-l", lib)
    assert "[red]" in stdout.replace("\n", "")
    assert "\x1b[2J" not in stdout
    assert as_json("library", "list", "-l", lib)["models"][0]["name"] == hostile


@pytest.mark.parametrize("command", ["list", "remove x", "export out", "merge {other}"])
def test_commands_that_need_a_library_make_none(command: str, lib: Path, tmp_path: Path) -> None:
    arguments = command.format(other=tmp_path / "other").split()
    code, _, stderr = kinprint("library", *arguments, "-l", lib)
    assert (code, "no such library" in stderr, lib.exists()) == (1, True, False)


def test_the_library_may_come_from_the_environment(lib: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Library.open(lib, create=True)
    monkeypatch.setenv("KINPRINT_LIBRARY", str(lib))
    assert as_json("library", "list") == {"format": "kinprint-library/1", "library": str(lib), "models": []}


def test_every_command_has_an_example() -> None:
    commands: Any = typer.main.get_command(app)
    assert all("Example: kinprint library " in command.help for command in commands.commands["library"].commands.values())


def test_folders_of_models(tmp_path: Path) -> None:
    """Weights make a folder one model; files and deeper folders are found, loops end, hidden and empty folders are nothing."""
    for name in ("a/model.safetensors", "a/sub/model.bin", "b/c/x.gguf", "b/one.kinprint", ".hidden/model.bin", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "empty").mkdir()
    found = [str(tmp_path / name) for name in ("a", "b/c", "b/one.kinprint")]
    assert models_in([str(tmp_path), f"{tmp_path}/a"]) == found
    assert models_in(["org/name", f"{tmp_path}/empty", "org/name"]) == ["org/name", f"{tmp_path}/empty"]


def test_an_unknown_engine_is_named(models: Path, lib: Path) -> None:
    code, _, stderr = kinprint("library", "add", models, "-l", lib, "--engine", "steam")
    assert (code, "steam: no engine of this name" in stderr) == (1, True)


def test_a_library_cannot_be_made_among_other_files(models: Path) -> None:
    with pytest.raises(LibraryError, match="something other than a library"):
        Library.open(models, create=True)
