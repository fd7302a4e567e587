"""The REST API: what it answers, and what it refuses."""

from __future__ import annotations

import re
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest
from served import MODELS, Running
from waiting import PATIENCE, until

import kinprint
from kinprint.library.records import data_of
from kinprint.server import uploads


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


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not a fingerprint"),
        (b"no fingerprint", "not a fingerprint"),
        (b"\xff" * 100, "not a fingerprint"),
        (b"\x00" * 8 + b"{}", "the upload"),
        (b"GGUF" + b"\x00" * 100, "a GGUF file"),
        (b"PK\x03\x04" + b"\x00" * 100, "a zip file"),
        (b"\x02" + b"\x00" * 7 + b"{}", "a safetensors file of weights"),
    ],
)
def test_uploads_that_are_none(running: Running, data: bytes, told: str) -> None:
    """They are refused in a sentence; where weights were sent, it says what to do instead."""
    answer = running.post("/api/fingerprints", content=data)
    assert answer.status_code == 422
    assert told in answer.json()["error"]
    if "not a" in answer.json()["error"]:
        assert "kinprint fingerprint MODEL -o" in answer.json()["error"]


def sending(running: Running) -> HTTPConnection:
    """Somebody who says that a file comes, and sends nothing."""
    slow = HTTPConnection(running.url.removeprefix("http://"), timeout=PATIENCE)
    slow.putrequest("POST", "/api/fingerprints")
    slow.putheader("content-length", "1000")
    slow.endheaders()
    return slow


def test_few_uploads_at_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes memory while it is received, so further ones are told to try again; slow ones are given up."""
    slow = []

    def full() -> bool:
        slow.append(sending(running))
        return running.post("/api/fingerprints", content=b"nothing").status_code == 429

    until(full)
    for each in slow:
        each.close()
    until(lambda: running.post("/api/fingerprints", content=b"nothing").status_code == 422)
    monkeypatch.setattr(uploads, "PATIENCE", 0.1)
    assert sending(running).getresponse().status == 408


def test_no_place_in_a_fingerprint_is_opened(running: Running, tmp_path: Path) -> None:
    """Uploaded fingerprints name files and servers as source and base; whatever is asked about them, none is looked at."""
    marker = f"trap-{tmp_path.name}"
    trap = tmp_path / marker
    trap.write_bytes(b"")
    seen: list[str] = []
    watching = True

    def hook(event: str, values: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir", "socket.getaddrinfo", "socket.connect"):
            seen.extend(f"{event} {value}" for value in values if marker in str(value))

    sys.addaudithook(hook)  # stays for the process, so it is told when to stop
    try:
        base = kinprint.fingerprint(MODELS / "base")
        told = {
            "source": str(trap),
            "base_model": f"https://{marker}.invalid/model",
            "notes": [str(trap)],
            "revision": str(trap),
        }
        hostile = kinprint.Fingerprint(
            "hostile", {**base.traits, "gains.final": base.traits["gains.final"] * 2}, base.facts, told
        )
        seen.clear()
        digest = running.post("/api/fingerprints", content=data_of(hostile)).json()["digest"]
        pair = {"reference": running.digests["base"], "suspect": digest}
        assert running.post("/api/comparisons", json=pair).json()["suspect"]["source"] == str(trap)
        assert running.post("/api/identifications", json={"suspect": digest}).status_code == 200
        ended(running, running.post("/api/jobs", json={"kind": "report", "suspect": digest}).json())
        for page in (f"/models/{digest}", f"/models/{digest}/report", f"/models/{digest}/tree"):
            assert running.get(page).status_code == 200
        assert seen == []
        open(trap, "rb").close()
        assert seen != []
    finally:
        watching = False


def test_families_have_names_on_pages_and_identifiers_for_programs(running: Running) -> None:
    page = running.get("/").text
    assert "<td>Llama</td>" in page
    assert '<option value="llama">Llama (3)</option>' in page
    assert {model["family"] for model in running.get("/api/models").json()["models"]} == {"llama"}
    assert "3 models" in running.get("/?q=Llama&family=llama").text


def test_models_sorted_and_filtered(running: Running) -> None:
    """By family, size and how they were measured, in either direction."""

    def names(**asked: object) -> list[str]:
        return [model["name"] for model in running.get("/api/models", params=asked).json()["models"]]

    assert names(order="name", down=True) == ["twin", "finetune", "base"]
    assert names(family="llama", size="under-1b", reading="full") == ["base", "finetune", "twin"]
    assert names(family="gpt2") == names(size="over-40b") == names(reading="quick") == []
    assert running.get("/api/models", params={"order": "digest"}).status_code == 422


def test_metrics(running: Running) -> None:
    """Prometheus' text format: every line is a comment or a number with labels; no label comes from a request, none names a
    model."""
    running.get("/evil-path/base")
    running.client.request("EVIL", "/")
    running.get(f"/models/{running.digests['base']}")
    answer = running.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    label = r'[a-z_]+="[^"\\\n]*"'
    form = re.compile(rf"# (HELP|TYPE) kinprint_\w+ .+|kinprint_\w+(\{{{label}(,{label})*\}})? \d+")
    assert all(form.fullmatch(line) for line in lines), lines
    assert 'kinprint_http_requests_total{method="GET",route="/models/{digest}",status="200"}' in answer.text
    assert 'kinprint_http_requests_total{method="other",route=' in answer.text
    assert "kinprint_library_models 3" in lines
    assert not [line for line in lines for word in ("evil", "EVIL", "twin", running.digests["base"]) if word in line]
    samples = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(samples) == len(set(samples))


def ended(running: Running, job: dict[str, str]) -> dict[str, str]:
    """The job when it has ended; stopping it then changes nothing."""
    place = f"/api/jobs/{job['id']}"
    found = until(lambda: (seen := running.get(place).json())["state"] in ("done", "failed") and seen)
    assert running.client.delete(place).json() == found
    return found


def test_a_fingerprint_is_a_job(running: Running) -> None:
    """A model of the folders is measured; its fingerprint can then be compared. The list of jobs has it."""
    listed = running.get("/api/checkpoints").json()
    chosen = next(found for found in listed if found["name"] == "models/twin")
    job = running.post("/api/jobs", json={"kind": "fingerprint", "checkpoint": chosen["id"]}).json()
    job = ended(running, job)
    assert job["state"] == "done", job
    assert job["digest"] == running.digests["twin"]
    assert job["place"] == f"/models/{job['digest']}"
    assert job["id"] in {each["id"] for each in running.get("/api/jobs").json()}


@pytest.mark.parametrize("kind", ["comparison", "search", "report"])
def test_other_jobs(running: Running, kind: str) -> None:
    """They lead to the page of their result, and the list of jobs, which everyone sees, leaves them out."""
    base, twin = running.digests["base"], running.digests["twin"]
    wanted = {"reference": base, "suspect": twin} if kind == "comparison" else {"suspect": base}
    job = ended(running, running.post("/api/jobs", json={"kind": kind, **wanted}).json())
    assert job["state"] == "done", job
    assert running.get(job["place"]).status_code == 200
    assert job["id"] not in {each["id"] for each in running.get("/api/jobs").json()}


PLACES = (
    "/api/models/..%2f..%2fetc%2fpasswd", "/reports/..%2flibrary%2fmodels.lance", "/reports/secret.txt", "/reports/link.html",
    "/static/..%2f..%2fapp.py", "/static/server.css", "/api/jobs/" + "0" * 16, "/jobs/" + "0" * 16,
    "/api/models/" + "0" * 64, "/nowhere",
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
    """A job takes the id of something that the server listed, and nothing else."""
    assert running.post("/api/jobs", json={"kind": "fingerprint", **wanted}).status_code == 422
    assert running.post("/api/jobs", json={"kind": "fingerprint", "checkpoint": "0" * 32}).status_code == 404
    assert running.post("/jobs", data=wanted).status_code == 404


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
    picture = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}
    assert running.get(f"/models/{pair['reference']}/relatives", headers=picture).status_code == 403
    assert running.get("/", headers={**picture, "sec-fetch-dest": "document"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer"}, {"cookie": "kinprint_session=right-token"},
     {"authorization": b"Bearer right-token".decode("latin-1") + "\xe9"}],
)  # fmt: skip
def test_without_the_token(guarded: Running, headers: dict[str, str]) -> None:
    """Nothing is answered."""
    for place in ("/api/models", "/openapi.json", "/api/checkpoints", "/metrics"):
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
