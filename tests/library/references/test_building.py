"""The reference library from a hub on this machine: stated before, read once, continued after it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer, Trouble
from typer.testing import CliRunner, Result
from waiting import until

from kinprint.checkpoints.files import cache_folder
from kinprint.cli import app
from kinprint.library.references.listing import FORMAT
from kinprint.library.store import Library

pytest.importorskip("lancedb")


def listed(path: Path, *ids: str) -> Path:
    path.write_text(json.dumps({"format": FORMAT, "models": [{"id": one, "family": one[5:]} for one in ids]}))
    return path


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["library", "build", *map(str, arguments)])


def made(*arguments: object) -> dict[str, Any]:
    found = ran(*arguments, "--json", "--yes")
    assert found.stdout.startswith("{"), found.output
    result = json.loads(found.stdout)
    assert isinstance(result, dict)
    return result


@pytest.fixture
def served(hub: Callable[[Mapping[str, Path]], HubServer], models: Path) -> HubServer:
    return hub({f"acme/{name}": models / name for name in ("base", "finetune", "twin")})


def test_a_dry_run_reads_listings_only(served: HubServer, models: Path, tmp_path: Path) -> None:
    """What would be read is what the weights have, or one percent of it; no file is asked for, nothing is written."""
    names = listed(tmp_path / "list.json", "acme/base", "acme/twin")
    sizes = sum((models / name / "model.safetensors").stat().st_size for name in ("base", "twin"))
    for options, reads in (((), sizes), (("--quick",), sizes / 100)):
        found = ran("-l", tmp_path / "lib", "--references", names, "--dry-run", "--json", *options)
        assert found.exit_code == 0, found.output
        assert abs(json.loads(found.stdout)["reads"] - reads) <= 2
    assert served.fetched == set()
    assert not (tmp_path / "lib").exists()


def test_each_model_is_read_once(served: HubServer, tmp_path: Path) -> None:
    """The library holds them under their ids with the commit; the second build reads nothing; the cache is given back."""
    names = listed(tmp_path / "list.json", "acme/base", "acme/twin")
    first = made("-l", tmp_path / "lib", "--references", names)
    assert len(first["added"]) == 2
    found = {model.name: model.source for model in Library.open(tmp_path / "lib").models()}
    assert found == {name: f"{name}@{served.commit(name)}" for name in ("acme/base", "acme/twin")}
    assert not list((cache_folder() / "remote").rglob("*.safetensors"))
    before = served.bytes_served
    again = made("-l", tmp_path / "lib", "--references", names)
    assert (again["added"], again["reads"], served.bytes_served) == ([], 0, before)


def test_quick_then_full(served: HubServer, tmp_path: Path) -> None:
    """A full build takes no quick fingerprint for what it wants; a quick one is content with a full one."""
    names = listed(tmp_path / "list.json", "acme/base")
    assert len(made("-l", tmp_path / "lib", "--references", names, "--quick")["added"]) == 1
    assert len(made("-l", tmp_path / "lib", "--references", names)["added"]) == 1
    assert made("-l", tmp_path / "lib", "--references", names, "--quick")["added"] == []


def test_one_that_cannot_be_read_does_not_end_it(served: HubServer, tmp_path: Path) -> None:
    """It is named, and the exit code says so."""
    served.failures["acme/twin"] = (403, "GatedRepo")
    names = listed(tmp_path / "list.json", "acme/twin", "acme/nowhere", "acme/base")
    found = ran("-l", tmp_path / "lib", "--references", names, "--yes")
    assert found.exit_code == 1
    assert "1 new, 0 already there, 2 unreadable" in found.stdout
    assert "gated" in found.stderr
    assert "Traceback" not in found.output


def test_it_asks_first(served: HubServer, tmp_path: Path) -> None:
    """Whoever does not agree has read nothing."""
    found = CliRunner().invoke(
        app,
        ["library", "build", "-l", str(tmp_path / "lib"), "--references", str(listed(tmp_path / "l.json", "acme/base"))],
        input="n\n",
    )
    assert found.exit_code == 1
    assert "to read: " in found.stderr
    assert served.fetched == set()
    assert ran("-l", tmp_path / "lib", "--json").exit_code == 2


def test_only_a_family(served: HubServer, tmp_path: Path) -> None:
    names = listed(tmp_path / "list.json", "acme/base", "acme/twin")
    assert [one["model"] for one in made("-l", tmp_path / "lib", "--references", names, "--only", "twin")["planned"]] == [
        f"acme/twin@{served.commit('acme/twin')}"
    ]


def test_killed_and_resumed(served: HubServer, tmp_path: Path) -> None:
    """What was stored is not read again, and in the end every model is there once."""
    ids = ("acme/base", "acme/finetune", "acme/twin")
    names, library = listed(tmp_path / "list.json", *ids), tmp_path / "lib"
    served.always = Trouble(delay=0.02)
    arguments = ["library", "build", "-l", str(library), "--references", str(names), "--yes", "--quick"]
    child = subprocess.Popen([sys.executable, "-c", "from kinprint.cli import main; main()", *arguments], env=os.environ)
    try:
        until(lambda: library.exists() and _stored(library) >= 1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    before = _stored(library)
    assert 1 <= before < len(ids)
    served.always = Trouble()
    result = made("-l", library, "--references", names, "--quick")
    assert len(result["added"]) == len(ids) - before
    assert sorted(model.name for model in Library.open(library).models()) == sorted(ids)


def _stored(library: Path) -> int:
    try:
        return len(Library.open(library))
    except Exception:  # it is being made
        return 0
