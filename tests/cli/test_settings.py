"""Options that nobody types: what is typed comes first, then the environment, then the file; a folder of models sets none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import Done, kinprint

from kinprint.cli import _settings
from kinprint.cli._settings import set_for, settings_file

MODELS = Path(__file__).parents[2] / "examples" / "models"
DOCTOR = ("doctor", "--offline")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text("")
    monkeypatch.setenv("KINPRINT_CONFIG", str(path))
    return path


def written(path: Path, text: str) -> None:
    path.write_text(text)
    _settings._read.cache_clear()


def is_json(done: Done) -> bool:
    assert done.returncode == 0, done.stderr
    return done.stdout.startswith("{")


def test_typed_then_environment_then_command_then_all(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(settings, "[all]\njson = true")
    assert is_json(kinprint(*DOCTOR))
    written(settings, "[all]\njson = true\n[doctor]\njson = false")
    assert not is_json(kinprint(*DOCTOR))
    monkeypatch.setenv("KINPRINT_DOCTOR_JSON", "1")
    assert is_json(kinprint(*DOCTOR))
    monkeypatch.setenv("KINPRINT_DOCTOR_JSON", "0")
    assert is_json(kinprint(*DOCTOR, "--json"))


def test_values_are_checked_as_if_typed(settings: Path) -> None:
    written(settings, "[compare]\nalpha = 2")
    done = kinprint("compare", MODELS / "base", MODELS / "twin")
    assert done.returncode == 2
    assert "between 0 and 1" in done.stderr


def test_a_command_of_commands(settings: Path) -> None:
    written(settings, "[library.list]\njson = true\n[all]\nlibrary = 'nowhere.lib'")
    done = kinprint("library", "list")
    assert "nowhere.lib" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[doctor]\njsn = true", "[doctor] sets jsn, which is no option of it; did you mean json?"),
        ("json = true", "json stands in no table"),
        ("doctor = 1", "doctor stands in no table"),
        ("[", "cannot be read as settings"),
    ],
)
def test_what_cannot_be_meant(settings: Path, text: str, says: str) -> None:
    written(settings, text)
    done = kinprint(*DOCTOR)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert kinprint("doctor", "--help").returncode == 0


def test_a_file_that_is_named_and_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINPRINT_CONFIG", str(tmp_path / "none.toml"))
    assert "none.toml: cannot be read" in kinprint(*DOCTOR).stderr


def test_nothing_is_read_where_models_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINPRINT_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("kinprint.toml", "config.toml", ".kinprint.toml"):
        (tmp_path / name).write_text("[all]\njson = true")
    monkeypatch.chdir(tmp_path)
    assert settings_file() is None
    assert not is_json(kinprint(*DOCTOR))


def test_an_empty_name_leaves_the_users_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_config_dir", lambda _: str(tmp_path))
    monkeypatch.delenv("KINPRINT_CONFIG", raising=False)
    (tmp_path / "config.toml").write_text("[doctor]\njson = true")
    assert set_for(("doctor",), {"json": "as_json"}) == {"as_json": True}
    assert json.loads(kinprint(*DOCTOR).stdout)["settings"] == {"file": str(tmp_path / "config.toml"), "exists": True}
    monkeypatch.setenv("KINPRINT_CONFIG", "")
    assert set_for(("doctor",), {"json": "as_json"}) == {}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("com", ["commit", "compare", "completion"]), ("compare --form", ["--format"]), ("compare --format sa", ["sarif"])],
)
def test_a_shell_is_told_how_a_word_goes_on(typed: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_KINPRINT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"kinprint {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    assert kinprint().stdout.split() == expected


def test_bash_takes_the_script() -> None:
    script = kinprint("completion", "bash").stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "did you mean 'bash'" in kinprint("completion", "bsh").stderr
