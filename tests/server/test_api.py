"""The REST API: what it answers, and what it refuses."""

from __future__ import annotations

from http.client import HTTPConnection

import pytest
from served import MODELS, Running
from waiting import PATIENCE, until

import kinprint
from kinprint.library.records import data_of


def test_models_by_words(running: Running) -> None:
    """Every word must occur, in any case; pages are cut as asked for."""
    assert running.get("/api/models").json()["total"] == 3
    assert [model["name"] for model in running.get("/api/models", params={"q": "TWIN llama"}).json()["models"]] == ["twin"]
    page = running.get("/api/models", params={"offset": 1, "limit": 1}).json()
    assert [model["name"] for model in page["models"]] == ["finetune"]
    assert running.get("/api/models", params={"q": "nothing at all"}).json() == {"total": 0, "models": []}


def test_a_comparison_is_that_of_the_package(running: Running) -> None:
    """As `kinprint.compare` gives it."""
    pair = {"reference": running.digests["base"], "suspect": running.digests["finetune"]}
    found = running.post("/api/comparisons", json=pair).json()
    assert found == kinprint.compare(MODELS / "base", MODELS / "finetune").to_json()


def test_relatives(running: Running) -> None:
    """The fine-tune is found, the twin is not."""
    found = running.post("/api/identifications", json={"suspect": running.digests["base"]}).json()
    assert {item["name"]: item["verdict"] for item in found["relatives"]} == {"finetune": "related"}
    assert found["itself"] == "base"
    assert [item["name"] for item in found["others"]] == ["twin"]
    assert found["library"] == ""  # not its place on the server
    assert "base" in {row["name"] for row in running.get(f"/api/models/{running.digests['finetune']}/neighbours").json()}


def test_up_and_down(running: Running) -> None:
    """What is uploaded is held and comes back byte for byte; it does not enter a library that is not writable."""
    quick = kinprint.fingerprint(MODELS / "base", quick=True)
    held = running.post("/api/fingerprints", content=data_of(quick))
    assert held.status_code == 201
    digest = held.json()["digest"]
    assert running.get(f"/api/models/{digest}/fingerprint").content == data_of(quick)
    assert running.get(f"/api/models/{digest}").json()["name"] == quick.name
    assert running.get("/api/models").json()["total"] == 3


@pytest.mark.parametrize("data", [b"", b"no fingerprint", b"\xff" * 100, b"\x00" * 8 + b"{}"])
def test_uploads_that_are_none(running: Running, data: bytes) -> None:
    answer = running.post("/api/fingerprints", content=data)
    assert answer.status_code == 422
    assert "the upload" in answer.json()["error"]


def test_a_run_is_watched(running: Running) -> None:
    """A model of the folders is measured; its fingerprint can then be compared."""
    listed = running.get("/api/checkpoints").json()
    chosen = next(found for found in listed if found["name"] == "models/twin")
    run = running.post("/api/runs", json={"checkpoint": chosen["id"]}).json()
    place = f"/api/runs/{run['id']}"
    run = until(lambda: (found := running.get(place).json())["state"] in ("done", "failed") and found)
    assert run["state"] == "done", run
    assert run["digest"] == running.digests["twin"]
    assert running.client.delete(f"/api/runs/{run['id']}").json()["state"] == "done"


PLACES = (
    "/api/models/..%2f..%2fetc%2fpasswd", "/reports/..%2flibrary%2fmodels.lance", "/reports/secret.txt", "/reports/link.html",
    "/static/..%2f..%2fapp.py", "/static/server.css", "/api/runs/" + "0" * 16, "/api/models/" + "0" * 64, "/nowhere",
    "/%00", "/reports/%00", "/compare/" + "0" * 64 + "/" + "0" * 64,
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_nothing_outside_is_read(running: Running, place: str) -> None:
    """Paths that climb, links, files of other kinds, things that are not there."""
    answer = running.get(place)
    assert answer.status_code in (404, 422)
    assert "secret" not in answer.text.replace("secret.txt", "")


@pytest.mark.parametrize(
    "wanted",
    [{"checkpoint": "/etc"}, {"checkpoint": "../models/base"}, {"checkpoint": "https://example.org/model"}, {"path": "/etc"}],
)
def test_no_path_or_url_of_the_caller(running: Running, wanted: dict[str, str]) -> None:
    """A run takes the id of something that the server listed, and nothing else."""
    assert running.post("/api/runs", json=wanted).status_code == 422
    assert running.post("/api/runs", json={"checkpoint": "0" * 32}).status_code == 404


def test_sizes_are_bounded(running: Running) -> None:
    """By what the headers say, and by what comes when they say nothing."""
    assert running.post("/api/comparisons", content=b" " * 100_000).status_code == 413
    said = HTTPConnection(running.url.removeprefix("http://"), timeout=PATIENCE)
    said.putrequest("POST", "/api/fingerprints")
    said.putheader("content-length", "99999999999")
    said.endheaders()
    assert said.getresponse().status == 413

    def endless() -> object:
        for _ in range(1000):
            yield b" " * 1000

    assert running.post("/api/comparisons", content=endless()).status_code == 413


def test_strangers_in_a_browser(running: Running) -> None:
    """Another name (DNS rebinding) and another origin (forged requests) are refused."""
    assert running.get("/api/models", headers={"host": "evil.example"}).status_code == 421
    pair = {"reference": running.digests["base"], "suspect": running.digests["twin"]}
    assert running.post("/api/comparisons", json=pair, headers={"origin": "https://evil.example"}).status_code == 403
    assert running.post("/api/comparisons", json=pair, headers={"origin": running.url}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer"}, {"cookie": "kinprint_session=right-token"},
     {"authorization": b"Bearer right-token".decode("latin-1") + "\xe9"}],
)  # fmt: skip
def test_without_the_token(guarded: Running, headers: dict[str, str]) -> None:
    """Nothing is answered."""
    for place in ("/api/models", "/openapi.json", "/api/checkpoints"):
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        assert guarded.get(place, headers=encoded).status_code == 401
    assert guarded.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"


def test_with_the_token(guarded: Running) -> None:
    """By header, or by the cookie that the login gives."""
    assert guarded.get("/api/models", headers={"authorization": "Bearer right-token"}).json()["total"] == 3
    assert guarded.post("/login", data={"token": "wrong"}).status_code == 401
    answer = guarded.post("/login", data={"token": "right-token"})
    assert answer.status_code == 303
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "right-token" not in said
    assert guarded.get("/api/models").json()["total"] == 3
