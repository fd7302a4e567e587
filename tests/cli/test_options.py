"""An option that several commands share is one option: the same names, environment variable and text everywhere."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from command_line import kinprint
from typer.testing import CliRunner, Result

from kinprint import Library, fingerprint
from kinprint.cli import app

OTHER = {
    ("kinprint identify", "--all"): "every candidate, not every pair of models or every model of a mirror",
    ("kinprint tree", "--all"): "every pair",
    ("kinprint benchmark", "--json"): "a file, since a run of an hour writes several reports at once",
    ("kinprint commit", "--output"): "a commitment, not a fingerprint",
    ("kinprint commit", "--opening"): "the file is written here, and read by verify",
    ("kinprint black-box palimpsest", "--timestamp"): "of a transcript, not of a commitment",
    ("kinprint zoo transcript", "--output"): "a transcript, not a fingerprint",
    ("kinprint zoo build", "--output"): "a folder of models, not a fingerprint",
    ("kinprint zoo build", "--device"): "what trains; an observation has a choice more",
    ("kinprint compare", "--device"): "what multiplies matrices; numpy by default",
    ("kinprint library build", "--list"): "of models, not of pairs of them",
    ("kinprint library build", "--models"): "how many, not a mirror of a hub",
    ("kinprint serve", "--models"): "folders from which the server may read, not a mirror of a hub",
}
"""Options that share a name with one of another command and are another option, and why."""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by what calls it. The options of a transform are those of its function, so transforms are left out."""
    waiting = [("kinprint", typer.main.get_command(app))]
    while waiting:
        called, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{called} {word}", other) for word, other in below.items() if word != "transform"]
        if not below:
            yield called, command


COMMANDS = dict(commands())


def options() -> dict[str, dict[str, Any]]:
    """Long name -> command -> option, of those that are in several commands."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for called, command in COMMANDS.items():
        for option in command.params:
            for name in option.opts:
                if name.startswith("--") and (called, name) not in OTHER:
                    found[name][called] = option
    return {name: offered for name, offered in found.items() if len(offered) > 1}


SHARED = options()


@pytest.mark.parametrize("name", sorted(SHARED))
def test_a_shared_option_is_one_option(name: str) -> None:
    """Whether it must be given, and what it is by default, may differ."""
    said = {(*option.opts, *option.secondary_opts, option.envvar, option.help) for option in SHARED[name].values()}
    assert len(said) == 1, {called: option.help for called, option in SHARED[name].items()}


def test_what_is_another_option_is_there() -> None:
    assert [key for key in OTHER if not any(key[1] in option.opts for option in COMMANDS[key[0]].params)] == []


def test_every_command_on_a_library_takes_it_alike() -> None:
    """-l, --library or the environment: those under `kinprint library`, and all that search."""
    alike = {*(called for called in COMMANDS if called.startswith("kinprint library ")), *map("kinprint {}".format, SEARCHES)}
    assert set(SHARED["--library"]) == alike
    (option,) = {(*option.opts, option.envvar) for option in SHARED["--library"].values()}
    assert set(option) == {"--library", "-l", "KINPRINT_LIBRARY"}


SEARCHES = ("audit", "gather", "identify", "matrix", "serve", "tree", "verify")


@pytest.fixture(scope="module")
def measured(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shipped models as files."""
    folder = tmp_path_factory.mktemp("measured")
    for name in ("base", "finetune", "twin"):
        fingerprint(models / name, cache=False).save(folder / f"{name}.kinprint")
    return {file.stem: file for file in folder.iterdir()}


@pytest.fixture(scope="module")
def library(measured: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model and its twin."""
    pytest.importorskip("lancedb")
    folder = tmp_path_factory.mktemp("options") / "library"
    Library.open(folder, create=True).add([fingerprint(measured[name]) for name in ("base", "twin")])
    return folder


def ran(*arguments: object, library: Path) -> Result:
    """A command whose library is named by the environment alone."""
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"KINPRINT_LIBRARY": str(library)})
    assert result.exit_code == 0, result.output
    return result


def test_identify_takes_the_library_of_the_environment(measured: dict[str, Path], library: Path) -> None:
    found = json.loads(ran("identify", measured["finetune"], "--json", library=library).stdout)
    assert (found["library"], found["searched"]) == (str(library), 2)


def test_gather_takes_the_library_of_the_environment(measured: dict[str, Path], library: Path) -> None:
    found = json.loads(ran("gather", measured["finetune"], "--json", library=library).stdout)
    assert found["searched"]["candidates"] == 2


def test_tree_takes_the_library_of_the_environment(measured: dict[str, Path], library: Path) -> None:
    pytest.importorskip("skbio")
    found = json.loads(ran("tree", measured["finetune"], "--json", library=library).stdout)
    assert {model["name"] for model in found["models"]} == {"base", "finetune", "twin"}


def test_verify_takes_the_library_of_the_environment(measured: dict[str, Path], library: Path) -> None:
    """The base that the card declares is found there."""
    found = json.loads(ran("verify", measured["finetune"], "--offline", "--json", library=library).stdout)
    assert found["conclusion"] == "confirmed"


def test_serve_takes_the_library_of_the_environment(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("kinprint.server.app")
    served = []
    monkeypatch.setattr(server, "create_app", lambda settings: served.append(settings.library))
    monkeypatch.setattr(server, "run", lambda *_: None)
    ran("serve", library=library)
    assert served == [str(library)]


@pytest.mark.parametrize("arguments", [["identify", "model"], ["serve"], ["library", "list"], ["library", "build"]])
def test_a_library_that_is_missing_is_wrong_use(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the option and the variable."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("KINPRINT_LIBRARY", raising=False)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "--library" in result.output
    assert "KINPRINT_LIBRARY" in result.output


def test_a_model_is_called_what_the_user_calls_it(tmp_path: Path, models: Path) -> None:
    """In what is printed and written; its digest stays the same."""
    base, finetune = models / "base", models / "finetune"
    said = kinprint("compare", base, finetune, "--name", "theirs", "--reference-name", "ours", "-q").stdout
    assert said.endswith("ours and theirs\n")
    written = tmp_path / "a.kinprint"
    kinprint("fingerprint", base, "--name", "org/ours", "-o", written)
    assert (fingerprint(written).name, fingerprint(written).digest) == ("org/ours", fingerprint(base).digest)
    library = tmp_path / "lib"
    assert kinprint("library", "add", base, "--name", "org/ours", "-l", library).returncode == 0
    assert "1 relative: org/ours" in kinprint("identify", finetune, "--name", "x", "-l", library).stdout
    assert kinprint("library", "add", base, finetune, "--name", "x", "-l", library).returncode == 2
    assert kinprint("fingerprint", base, "--name", "a\nb").returncode == 2
    assert kinprint("identify", "--all-local", "--name", "x", "-l", library).returncode == 2


def test_a_name_may_be_as_long_as_fingerprints_hold_it() -> None:
    """The command line does not load them to say so."""
    from kinprint.cli._options import LONGEST_NAME
    from kinprint.fingerprints.fingerprint import MAX_NAME

    assert LONGEST_NAME == MAX_NAME
