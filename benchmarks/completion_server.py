"""A checkpoint behind `/v1/completions` with echoed log-probabilities, as vLLM serves it: for measurements on one machine.

python benchmarks/completion_server.py zoo-small/llama-finetune --port 8000
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kinprint.observation.loaded import Loaded
from kinprint.observation.questions import Question


def reply(model: Loaded, lock: threading.Lock, request: dict[str, Any]) -> dict[str, Any]:
    """What an honest server answers: an echo with log-probabilities, likely tokens, or a sample."""
    prompt, choice = str(request["prompt"]), dict[str, Any]()
    if request.get("echo"):
        with lock:
            (answer,) = model.answer([Question("likelihood", prompt)])
            ids = model.runner.encoded(prompt)
        assert answer is not None
        tokens = model.runner.tokenizer.convert_ids_to_tokens(ids)
        ends = [len(model.runner.tokenizer.decode(ids[:count])) for count in range(len(ids))]
        logprobs = {"tokens": tokens, "token_logprobs": [None, *answer.logprobs], "text_offset": ends}
        choice = {"text": prompt, "logprobs": logprobs}
    elif "logprobs" in request:
        with lock:
            (answer,) = model.answer([Question("top", prompt, int(request["logprobs"]))])
        assert answer is not None
        choice = {"text": "", "logprobs": {"top_logprobs": [dict(answer.top)]}}
    else:
        asked = Question("writing", prompt, int(request["max_tokens"]), float(request["temperature"]), request.get("seed"))
        with lock:
            (answer,) = model.answer([asked])
        assert answer is not None
        choice = {"text": answer.text, "logprobs": None}
    return {"model": request["model"], "choices": [choice], "usage": {"total_tokens": answer.tokens}}


@contextmanager
def serving(place: str, port: int = 0) -> Iterator[str]:
    """Serve a checkpoint; gives the URL of the API."""
    model, lock = Loaded(place), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = json.dumps(reply(model, lock, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with serving(options.model, options.port) as url:
        print(url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
