"""Jobs go on after a restart of the server; its record of them is read as a stranger's."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from served import MODELS, Running, serve
from waiting import until

import kinprint
from kinprint.library import Library
from kinprint.library.identify import Identification, identify
from kinprint.library.records import data_of
from kinprint.server import service as services
from kinprint.server.settings import Settings
from kinprint.server.unfinished import FORMAT, LARGEST, MOST, Entry, Unfinished

IDS = [f"{number:016x}" for number in range(100)]


@pytest.fixture
def own(settings: Settings, fingerprints: dict[str, kinprint.Fingerprint], tmp_path: Path) -> Settings:
    """A library of its own: two models, the third is an upload."""
    library = tmp_path / "library"
    Library.open(library, create=True).add([fingerprints["base"], fingerprints["twin"]])
    return replace(settings, library=str(library), folders=(MODELS,))


class Gate:
    """Searches that wait until they may go on."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def identify(self, *args: Any, progress: Callable[[str, int, int], None], **more: Any) -> Identification:
        while not self.open.wait(0.02):
            progress("some model", 1, 3)
        return identify(*args, progress=progress, **more)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    found = Gate()
    monkeypatch.setattr("kinprint.library.identify.identify", found.identify)
    monkeypatch.setattr(services, "AT_MOST", 0.05)
    yield found
    found.open.set()


def record() -> Path:
    (file,) = (Path(os.environ["KINPRINT_CACHE"]) / "jobs").glob("*.json")
    return file


def recorded() -> list[dict[str, Any]]:
    said = json.loads(record().read_text())
    assert said["format"] == FORMAT
    return list(said["jobs"])


def write(settings: Settings, jobs: Any, **more: Any) -> None:
    """A record that was not written by a server."""
    with serve(settings):
        pass
    Unfinished(settings.library).close()
    record().write_text(json.dumps({"format": FORMAT, "jobs": jobs, **more}))


def search(digest: str, number: int = 1, tries: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": IDS[number], "request": {"kind": "search", "suspect": digest, **more}, "tries": tries}


def job(running: Running, name: str) -> dict[str, Any]:
    return dict(running.get(f"/api/jobs/{name}").json())


def ended(running: Running, name: str) -> dict[str, Any]:
    return until(lambda: (seen := job(running, name))["state"] in ("done", "failed", "cancelled") and seen)


def test_jobs_go_on_after_a_restart(own: Settings, gate: Gate) -> None:
    """Under the id that they had. While they run they are in the record, whatever may happen to the server; ended ones are
    not."""
    with serve(own) as running:
        wanted = {"kind": "search", "suspect": running.digests["twin"]}
        begun = running.post("/api/jobs", json=wanted).json()["id"]
        until(lambda: job(running, begun)["state"] == "running")
        until(lambda: recorded()[0]["tries"] == 1)
        assert recorded() == [{"id": begun, "request": wanted, "tries": 1}]
        assert stat.S_IMODE(record().stat().st_mode) == 0o600
    assert recorded() == [{"id": begun, "request": wanted, "tries": 0}]  # it ended in order: the job is not the reason
    gate.open.set()
    with serve(own) as running:
        assert ended(running, begun) == job(running, begun) | {"state": "done", "model": "twin"}
        assert running.get(job(running, begun)["place"]).status_code == 200
        until(lambda: recorded() == [])


def test_a_model_of_the_folders_is_measured_after_a_restart(own: Settings, gate: Gate) -> None:
    """Its name is known when it is looked for."""
    with serve(own) as running:
        chosen = next(each["id"] for each in running.get("/api/checkpoints").json() if each["name"] == "models/finetune")
    write(own, [{"id": IDS[1], "request": {"kind": "fingerprint", "checkpoint": chosen}, "tries": 0}])
    with serve(own) as running:
        found = ended(running, IDS[1])
        assert (found["state"], found["model"]) == ("done", "models/finetune")


def test_what_was_stopped_is_not_begun_again(own: Settings, gate: Gate) -> None:
    with serve(own) as running:
        begun = running.post("/api/jobs", json={"kind": "search", "suspect": running.digests["twin"]}).json()["id"]
        running.client.delete(f"/api/jobs/{begun}")
        until(lambda: recorded() == [])
    with serve(own) as running:
        assert running.get(f"/api/jobs/{begun}").status_code == 404


def test_inputs_that_are_gone_are_said(own: Settings, gate: Gate, fingerprints: dict[str, kinprint.Fingerprint]) -> None:
    """An upload is held in memory; a folder may be another one now."""
    with serve(own) as running:
        digest = running.post("/api/fingerprints", content=data_of(fingerprints["finetune"])).json()["digest"]
        begun = running.post("/api/jobs", json={"kind": "search", "suspect": digest}).json()["id"]
        until(lambda: job(running, begun)["state"] == "running")
    left = recorded()
    gate.open.set()
    with serve(own) as running:
        found = ended(running, begun)
        assert found["state"] == "failed"
        assert found["error"] == (
            f"{digest[:12]}: no longer here since the server was started again (an upload held in memory, or a model that was "
            "removed since); upload its fingerprint again"
        )
    write(own, [*left, {"id": IDS[2], "request": {"kind": "fingerprint", "checkpoint": "0" * 32}, "tries": 0}])
    with serve(own) as running:
        said = "(its folder was moved or removed); choose it again from the list of models"
        assert ended(running, IDS[2])["error"].endswith(said)


def test_a_job_that_ends_the_server_is_not_begun_for_ever(own: Settings, fingerprints: dict[str, kinprint.Fingerprint]) -> None:
    """The record counts how often the server ended while it ran."""
    digest = fingerprints["twin"].digest
    write(own, [search(digest, 1, 1), search(fingerprints["base"].digest, 2, 2)])
    with serve(own) as running:
        assert ended(running, IDS[1])["state"] == "done"
        assert ended(running, IDS[2])["error"] == (
            "base: the server ended 2 times while this ran, so it is not begun again; the command line shows why"
        )


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        {"id": IDS[1], "tries": 0},
        {"id": "../../etc/passwd", "request": {"kind": "search", "suspect": "0" * 64}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "search", "suspect": "/etc/passwd"}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "fingerprint", "checkpoint": "/etc"}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "search", "suspect": "0" * 64, "library": "/"}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "remove", "suspect": "0" * 64}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "comparison", "reference": "0" * 64}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "search", "suspect": ["0" * 64]}, "tries": 0},
        {"id": IDS[1], "request": {"kind": "search", "suspect": "0" * 64}, "tries": "0"},
    ],
)
def test_what_no_client_could_ask_for_is_left_out(
    own: Settings, fingerprints: dict[str, kinprint.Fingerprint], entry: object
) -> None:
    write(own, [entry, search(fingerprints["twin"].digest, 3)])
    with serve(own) as running:
        assert ended(running, IDS[3])["state"] == "done"
        assert running.get(f"/api/jobs/{IDS[1]}").status_code == 404
        until(lambda: recorded() == [])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "another/1", "jobs": []}', '{"jobs": 3}', " " * (LARGEST + 1)])
def test_no_record_is_a_server_without_jobs(own: Settings, text: str) -> None:
    write(own, [])
    record().write_text(text)
    with serve(own) as running:
        assert running.get("/api/jobs").json() == []


def test_a_long_record_is_bounded(own: Settings, fingerprints: dict[str, kinprint.Fingerprint], gate: Gate) -> None:
    """As many begin as may wait; the same work is done once."""
    digest = fingerprints["twin"].digest
    write(own, [search(digest, number) for number in range(90)])
    with serve(own) as running:
        known = [name for name in IDS if running.get(f"/api/jobs/{name}").status_code == 200]
        assert known == IDS[:1]
        assert len(recorded()) == 1
    assert MOST < 90


def test_a_second_server_leaves_the_record_alone(own: Settings, gate: Gate) -> None:
    with serve(own) as running:
        begun = running.post("/api/jobs", json={"kind": "search", "suspect": running.digests["twin"]}).json()["id"]
        until(lambda: recorded()[0]["tries"] == 1)
        before = recorded()
        with serve(own) as other:
            assert other.get(f"/api/jobs/{begun}").status_code == 404
            other.post("/api/jobs", json={"kind": "search", "suspect": running.digests["base"]})
            assert recorded() == before
        assert recorded() == before


def test_a_record_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path / "file"))
    kept = Unfinished(str(tmp_path))
    kept.begun(Entry(IDS[0], {}))
    kept.running(IDS[0])
    assert kept.left() == []
    kept.close()
