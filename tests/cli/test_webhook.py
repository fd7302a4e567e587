"""Results that are posted: to the address that was given, signed, again where that may help."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_line import kinprint

from kinprint.cli._webhook import SECRET, SIGNATURE, WAITS, send


@dataclass
class Receiver:
    """What listens, and what it was sent; `answers` are the codes that it gives, 200 after the last."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append((dict(self.headers.items()), body))
            code = found.answers.pop(0) if found.answers else 200
            self.send_response(code)
            if code == 302:
                self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


DOCUMENT = {"format": "kinprint-identification/1", "verdict": "related"}


def test_a_result_arrives_signed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "key")
    assert send(receiver.url, DOCUMENT) is None
    ((headers, body),) = receiver.received
    assert json.loads(body) == DOCUMENT
    assert headers[SIGNATURE] == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"
    monkeypatch.delenv(SECRET)
    send(receiver.url, DOCUMENT)
    assert SIGNATURE not in receiver.received[-1][0]


@pytest.mark.parametrize(
    ("answers", "problem", "attempts"),
    [([503, 429], None, 3), ([500, 500, 500], "answered 500", 3), ([404], "answered 404", 1), ([302], "answered 302", 1)],
)
def test_again_where_that_may_help(receiver: Receiver, answers: list[int], problem: str | None, attempts: int) -> None:
    receiver.answers = list(answers)
    waited: list[float] = []
    assert send(receiver.url, DOCUMENT, waited.append) == problem
    assert len(receiver.received) == attempts
    assert waited == list(WAITS[: attempts - 1])


def test_nobody_listens() -> None:
    assert "refused" in (send("http://127.0.0.1:9", DOCUMENT, lambda _: None) or "")


def test_a_run_posts_each_result_and_goes_on(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a model that cannot be read, and where the receiver refuses."""
    from kinprint.cli import identify
    from kinprint.errors import CheckpointError

    def unreadable(model: str) -> None:
        raise CheckpointError(model, "cannot be read", "copy it again")

    receiver.answers = [400]
    identify._line("a", unreadable, True, receiver.url)  # type: ignore[arg-type]
    identify._line("b", unreadable, True, receiver.url)  # type: ignore[arg-type]
    assert [json.loads(body)["suspect"]["source"] for _, body in receiver.received] == ["a", "b"]


def test_wrong_use(tmp_path: Path) -> None:
    assert kinprint("identify", tmp_path, "--library", tmp_path, "--webhook", "http://localhost/x").returncode == 2
    done = kinprint("identify", "--watch", tmp_path, "--library", tmp_path, "--webhook", "file:///etc/passwd")
    assert done.returncode == 2
    assert "address" in done.stderr
