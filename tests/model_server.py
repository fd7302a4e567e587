"""An OpenAI-compatible server over a model that is run here: what real servers give and leave out, and lies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from kinprint.observation.loaded import Loaded
from kinprint.observation.questions import Question


@dataclass(frozen=True)
class Manners:
    """How a server answers.

    Attributes:
        listed: likely tokens that it lists at most; 0 for none.
        echo: whether it gives log-probabilities of a text that it is sent.
        biases: whether biases on logits change anything.
        temperature: of what it writes, whatever was asked; None for what was asked.
        decimals: of log-probabilities.
        noise: deviation of what is added to each log-probability.
        constant: give every token this log-probability.
        other: another model, which answers after `honest` requests.
    """

    listed: int = 20
    echo: bool = True
    biases: bool = True
    temperature: float | None = None
    decimals: int = 6
    noise: float = 0.0
    constant: float | None = None
    other: Loaded | None = None
    honest: int = 0


@contextmanager
def served(model: Loaded, manners: Manners | None = None) -> Iterator[str]:
    """The URL of a server, which ends with the block."""
    answers = _Answers(model, manners or Manners())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = answers(request) if self.path.endswith("/completions") else (404, {})
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that has given up
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


class _Answers:
    def __init__(self, model: Loaded, manners: Manners) -> None:
        self.model, self.manners = model, manners
        self.requests = 0
        self._rng = np.random.default_rng(1)
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self._lock:  # torch's seeds are those of the process
            self.requests += 1
            if request.get("logprobs", 0) > max(self.manners.listed, 1) or "prompt_logprobs" in request:
                return 400, {"error": {"message": "too many log-probabilities"}}
            if request.get("echo") and not self.manners.echo:
                return 400, {"error": {"message": "echo is not supported"}}
            return 200, self._completed(request)

    def _completed(self, request: dict[str, Any]) -> dict[str, Any]:
        manners, prompt = self.manners, request["prompt"]
        lying = manners.other is not None and self.requests > manners.honest
        model = manners.other if lying and manners.other is not None else self.model
        if request.get("echo"):
            return self._reply(*self._echoed(model, prompt))
        if request.get("logprobs") and manners.listed:
            bias = request.get("logit_bias", {}) if manners.biases else {}
            return self._reply("", self._top(model, Question("top", prompt, request["logprobs"], bias=bias)))
        temperature = request.get("temperature", 1.0) if manners.temperature is None else manners.temperature
        seed = request.get("seed", self.requests)
        question = Question("writing", prompt, request["max_tokens"], temperature, seed=seed + 7_000_000)
        return self._reply(_answer(model, question).text, None)

    def _echoed(self, model: Loaded, prompt: str) -> tuple[str, dict[str, Any]]:
        values = [self._bent(value) for value in _answer(model, Question("likelihood", prompt)).logprobs]
        places = model.runner.tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
        pieces, offsets = [prompt[start:end] for start, end in places], [start for start, _ in places]
        return prompt, {"tokens": pieces, "token_logprobs": [None, *values], "text_offset": offsets, "top_logprobs": None}

    def _top(self, model: Loaded, question: Question) -> dict[str, Any]:
        spelt: Callable[[list[str]], str] = model.runner.tokenizer.convert_tokens_to_string
        top = _answer(model, question).top
        return {"top_logprobs": [{spelt([name]): self._bent(value) for name, value in top.items()}]}

    def _bent(self, value: float) -> float:
        if self.manners.constant is not None:
            return self.manners.constant
        return min(round(value + self.manners.noise * float(self._rng.normal()), self.manners.decimals), 0.0)

    def _reply(self, text: str, logprobs: dict[str, Any] | None) -> dict[str, Any]:
        return {"model": "served", "choices": [{"text": text, "logprobs": logprobs}]}


def _answer(model: Loaded, question: Question) -> Any:
    return model.answer([replace(question)])[0]
