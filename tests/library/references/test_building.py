"""The reference library from a hub on this machine: stated before, read once, continued after it was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from typer.testing import CliRunner, Result
from waiting import until

from kinprint.checkpoints.files import cache_folder
from kinprint.cli import app
from kinprint.library.references.building import build, plan
from kinprint.library.references.listing import FORMAT, references
from kinprint.library.references.pace import Pace
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


def test_what_fits_into_the_bytes(served: HubServer, models: Path, tmp_path: Path) -> None:
    """In the order of the list; what does not fit says so and leaves its room to a smaller one; with more bytes it is read."""
    names = listed(tmp_path / "list.json", "acme/base", "acme/finetune", "acme/twin")
    size = (models / "base" / "model.safetensors").stat().st_size
    arguments = ("-l", tmp_path / "lib", "--references", names)
    first = made(*arguments, "--max-bytes", f"{1.5 * size / 1e3:.3f} kB")
    assert [each["id"] for each in first["added"]] == ["acme/base"]
    assert [each["model"] for each in first["left_out"]] == ["acme/finetune", "acme/twin"]
    assert first["reads"] == size
    assert {row["id"] for row in manifest(tmp_path)["skipped"]} == {"acme/finetune", "acme/twin"}
    again = made(*arguments, "--max-bytes", "1GB", "--models", 2)
    assert [each["id"] for each in again["added"]] == ["acme/finetune"]
    assert [row["id"] for row in manifest(tmp_path)["models"]] == ["acme/base", "acme/finetune"]
    assert ran(*arguments, "--max-bytes", "much").exit_code == 2


def test_the_manifest(served: HubServer, models: Path, tmp_path: Path) -> None:
    """Each model with its commit, licence, digest, bytes and seconds; why others are not there; and its rate is the next
    build's estimate."""
    served.failures["acme/twin"] = (403, "GatedRepo")
    names = listed(tmp_path / "list.json", "acme/base", "acme/twin")
    arguments = ("-l", tmp_path / "lib", "--references", names)
    before = ran(*arguments, "--dry-run")
    assert "if 100.0 MB are read and measured in a second" in before.stderr
    found = ran(*arguments, "--yes")
    assert re.search(r"acme/base: .* in \d+\.\d s", found.stderr)
    (row,), (skipped,) = manifest(tmp_path)["models"], manifest(tmp_path)["skipped"]
    assert (row["id"], row["revision"], row["quick"]) == ("acme/base", served.commit("acme/base"), False)
    assert (row["licence"], row["licence_from"]) == ("apache-2.0", "card")
    assert row["bytes"] == (models / "base" / "model.safetensors").stat().st_size
    assert row["seconds"] > 0
    assert row["digest"] == next(iter(Library.open(tmp_path / "lib").models())).digest
    assert (skipped["id"], "gated" in skipped["reason"]) == ("acme/twin", True)
    served.failures.clear()
    told = ran(*arguments, "--dry-run", "--json")
    assert json.loads(told.stdout)["bytes_per_second"] == pytest.approx(row["bytes"] / row["seconds"], rel=1e-3)
    assert "a second of the last models" in told.stderr


def test_a_manifest_that_is_none(served: HubServer, tmp_path: Path) -> None:
    """It is not written over."""
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    names = listed(tmp_path / "list.json", "acme/base")
    found = ran("-l", tmp_path / "lib", "--references", names, "--yes", "--manifest", tmp_path / "notes.json")
    assert found.exit_code == 1
    assert "no kinprint-build/1" in str(found.exception)
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def test_no_model_is_begun_that_would_end_too_late(served: HubServer, tmp_path: Path) -> None:
    """One of which nothing is known is begun; with the clock past the hours, none is."""
    names = listed(tmp_path / "list.json", "acme/base", "acme/twin")
    library = Library.open(tmp_path / "lib", create=True)
    planned = plan(library, references(names), quick=True)
    seconds = iter([0.0, 10.0, 3590.0, *[3700.0] * 20])
    outcomes = list(build(library, planned, pace=Pace(1, clock=lambda: next(seconds))))
    assert [outcome.result is not None for outcome in outcomes] == [True, False]
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(library) == 1


def test_pace() -> None:
    """A rate of whole models; several at once go together; one that would end after the hours is too long."""
    now = 0.0
    pace = Pace(1.0, clock=lambda: now)
    assert (pace.rate, pace.left(100), pace.too_long(10**15)) == (None, None, False)
    now = 1800.0
    pace.done(1000, 1800.0)
    pace.done(1000, 1800.0)  # by two workers
    assert pace.rate == pytest.approx(2000 / 3600)
    assert pace.left(2000) == pytest.approx(1800)
    assert [pace.too_long(nbytes) for nbytes in (999, 1001)] == [False, True]
    assert not Pace(None, earlier=1.0, clock=lambda: now).too_long(10**15)
    assert Pace(1.0, earlier=1.0, clock=lambda: now).too_long(3601)


def manifest(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "lib" / "kinprint-build.json").read_text())
    assert isinstance(found, dict)
    return found


STOPS_AFTER_THE_FIRST = """
import threading
from kinprint.cli import main
from kinprint.library import Library

add = Library.add

def add_and_stop(*arguments, **options):
    add(*arguments, **options)
    threading.Event().wait()

Library.add = add_and_stop
main()
"""


def test_killed_and_resumed(served: HubServer, tmp_path: Path) -> None:
    """Killed when one model was stored and not yet written down: it is not read again, and in the end every model is there
    once."""
    ids = ("acme/base", "acme/finetune", "acme/twin")
    names, library = listed(tmp_path / "list.json", *ids), tmp_path / "lib"
    arguments = ["library", "build", "-l", str(library), "--references", str(names), "--yes", "--quick"]
    child = subprocess.Popen([sys.executable, "-c", STOPS_AFTER_THE_FIRST, *arguments], env=os.environ)
    try:
        until(lambda: library.exists() and _stored(library) >= 1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert _stored(library) == 1
    result = made("-l", library, "--references", names, "--quick")
    assert len(result["added"]) == len(ids) - 1
    assert sorted(model.name for model in Library.open(library).models()) == sorted(ids)


def _stored(library: Path) -> int:
    try:
        return len(Library.open(library))
    except Exception:  # it is being made
        return 0
