"""A server on a real socket of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
from waiting import PATIENCE, until

from kinprint.server.app import create_app
from kinprint.server.settings import Settings

MODELS = Path(__file__).parents[1] / "examples" / "models"


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    digests: dict[str, str]
    client: httpx.Client

    def get(self, path: str, **more: object) -> httpx.Response:
        return self.client.get(path, **more)  # type: ignore[arg-type]

    def post(self, path: str, **more: object) -> httpx.Response:
        return self.client.post(path, **more)  # type: ignore[arg-type]


@contextmanager
def serve(settings: Settings) -> Iterator[Running]:
    """A real uvicorn on a port of its own."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="error", server_header=False))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            listed = [] if settings.token else client.get("/api/models").json()["models"]
            yield Running(url, {model["name"]: model["digest"] for model in listed}, client)
        server.should_exit = True
        thread.join(PATIENCE)
