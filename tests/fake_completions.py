"""An OpenAI-compatible server on this machine with `/v1/completions`: a model of one's own, or one that lies."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LogProbabilities = Callable[[str, int], list[float | None]]
"""Of a text and the number of the request: the log-probability of each of its tokens, which are words."""


class Completions:
    """A server and what it was asked.

    Args:
        likely: see above; None to answer without log-probabilities.
        change: makes the reply that is sent (status, body or bytes, headers) of request number, request and honest reply.
    """

    def __init__(self, likely: LogProbabilities | None, change: Callable[..., Any] | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.requests.append(request | {"path": self.path})
                    number = len(outer.requests)
                status, content, headers = 200, reply(request, likely, number), {}
                if change is not None:
                    status, content, headers = change(number, request, content)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def reply(request: Mapping[str, Any], likely: LogProbabilities | None, number: int) -> dict[str, Any]:
    """What an honest server answers."""
    text = request["prompt"]
    choice: dict[str, Any] = {"text": text if request.get("echo") else " so", "logprobs": None}
    words = list(re.finditer(r"\s*\S+|\s+$", text))
    if likely is not None and request.get("echo"):
        choice["logprobs"] = {
            "tokens": [word.group() for word in words],
            "text_offset": [word.start() for word in words],
            "token_logprobs": likely(text, number),
        }
    return {"model": "m", "choices": [choice], "usage": {"total_tokens": len(words)}}


@contextmanager
def completions(likely: LogProbabilities | None, change: Callable[..., Any] | None = None) -> Iterator[Completions]:
    server = Completions(likely, change)
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
