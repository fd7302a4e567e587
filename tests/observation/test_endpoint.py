"""Models behind a server: what is asked, what is made of the answers, and what goes wrong on the way."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from waiting import PATIENCE

from kinprint.errors import ObservationError
from kinprint.methods import quere
from kinprint.observation import Probe, observe_endpoint
from kinprint.observation.answers import question_prompt

PROBE = Probe((), ("Is ice cold?", "Is fire wet?"), ("Are you sure?", "Would others agree?"))
Reply = Callable[[dict[str, Any], int], tuple[int, Any]]


class Server:
    """An OpenAI-compatible server on this machine whose answers a function decides."""

    def __init__(self, reply: Reply) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(request | {"path": self.path})
                outer.headers.append(dict(self.headers))
                status, content = reply(request, len(outer.requests))
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that has given up
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Reply], Server]]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    servers: list[Server] = []

    def start(reply: Reply) -> Server:
        servers.append(Server(reply))
        return servers[-1]

    yield start
    for server in servers:
        server.server.shutdown()
        server.server.server_close()


def said(text: str, top: list[tuple[str, float]] | None = None) -> dict[str, Any]:
    """A chat completion."""
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if top is not None:
        listed = [{"token": token, "logprob": math.log(p)} for token, p in top]
        choice["logprobs"] = {"content": [{"token": top[0][0], "top_logprobs": listed}]}
    return {"choices": [choice], "usage": {"total_tokens": 7}}


def test_log_probabilities(serve: Callable[[Reply], Server]) -> None:
    """The chance of yes is the mass of its spellings against those of no."""
    server = serve(lambda request, _: (200, said("Yes.", [("Yes", 0.5), (" yes", 0.1), ("no", 0.2), ("Maybe", 0.1)])))
    found = observe_endpoint(server.url, "some/model", PROBE)
    np.testing.assert_allclose(found.traits["answers.yes"], np.full((2, 2), 0.6 / 0.8), rtol=1e-6)
    cost = found.provenance["observation"]
    assert cost["yes"] == "log-probabilities"
    assert cost["forward_tokens"] == 7 * len(server.requests)
    assert server.requests[0]["path"] == "/v1/chat/completions"
    assert [{"role": "user", "content": question_prompt(PROBE.questions[0])}] in [r["messages"] for r in server.requests]
    assert quere.METHOD(found, found).statistic == pytest.approx(1)


def test_no_log_probabilities(serve: Callable[[Reply], Server]) -> None:
    """Without them answers are sampled: three of four say yes."""
    server = serve(lambda request, _: (200, said("no" if request.get("seed", 0) % 4 == 0 else "Yes, surely")))
    found = observe_endpoint(server.url, "m", PROBE)
    np.testing.assert_allclose(found.traits["answers.yes"], 0.75)
    assert found.provenance["observation"]["yes"] == "sampled answers"


def test_a_server_that_refuses_to_give_them(serve: Callable[[Reply], Server]) -> None:
    server = serve(lambda request, _: (400, {"error": "logprobs"}) if "logprobs" in request else (200, said("yes")))
    assert (observe_endpoint(server.url, "m", PROBE).traits["answers.yes"] == 1).all()


def test_neither_yes_nor_no(serve: Callable[[Reply], Server]) -> None:
    server = serve(lambda request, _: (200, said("perhaps")))
    found = observe_endpoint(server.url, "m", PROBE)
    assert np.isnan(found.traits["answers.yes"]).all()
    assert any("not finite" in note for note in found.provenance["observation"]["notes"])
    assert "neither yes nor no" in quere.METHOD(found, found).note


def test_busy_servers_are_asked_again(serve: Callable[[Reply], Server]) -> None:
    server = serve(lambda request, number: (429, {}) if number % 3 else (200, said("Yes", [("Yes", 0.9), ("No", 0.1)])))
    assert observe_endpoint(server.url, "m", PROBE).traits["answers.yes"] == pytest.approx(np.full((2, 2), 0.9))


@pytest.mark.parametrize(
    ("reply", "said_so"),
    [
        ((404, {}), "HTTP 404; check the address"),
        ((401, {}), "OPENAI_API_KEY"),
        ((503, {}), "HTTP 503"),
        ((200, b"<html>"), "no JSON object"),
        ((200, b"[" * 100_000), "no JSON object"),
        ((200, {"choices": []}), "no chat completion"),
        ((200, {"choices": [{"message": {"content": 3}}]}), "no chat completion"),
        ((200, b" " * 5_000_000), "no JSON object"),
    ],
)
def test_one_clear_error(serve: Callable[[Reply], Server], reply: tuple[int, Any], said_so: str) -> None:
    server = serve(lambda request, _: reply)
    with pytest.raises(ObservationError, match=said_so):
        observe_endpoint(server.url, "m", PROBE)


def test_a_server_that_does_not_answer(serve: Callable[[Reply], Server]) -> None:
    never = threading.Event()
    server = serve(lambda request, _: (200, never.wait(PATIENCE)))
    with pytest.raises(ObservationError, match=r"no answer \(.*timed out"):
        observe_endpoint(server.url, "m", PROBE, timeout=0.1)
    never.set()


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(ObservationError, match="refused"):
        observe_endpoint("http://127.0.0.1:9/v1", "m", PROBE)
    assert slept == []
    with pytest.raises(ObservationError, match="no address"):
        observe_endpoint("file:///etc/passwd", "m", PROBE)
    with pytest.raises(ObservationError, match="at least one question"):
        observe_endpoint("http://127.0.0.1:9/v1", "m", Probe((), (), ()))


def test_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server cannot send the user's key elsewhere."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            seen.append(self.path)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(ObservationError, match="redirects"):
        observe_endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", "m", PROBE)
    server.shutdown()
    assert seen == []


def test_the_key_of_the_user(serve: Callable[[Reply], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server = serve(lambda request, _: (200, said("Yes", [("Yes", 1.0)])))
    observe_endpoint(server.url, "m", PROBE)
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer secret"}
