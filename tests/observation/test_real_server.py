"""A shipped model behind the server that comes with transformers, which gives no log-probabilities."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from waiting import PATIENCE, until

from kinprint.observation import Probe, observe_endpoint

for needed in ("torch", "transformers", "fastapi", "uvicorn", "openai"):
    pytest.importorskip(needed)

BASE = Path(__file__).parents[2] / "examples" / "models" / "base"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address of the server and name of its model."""
    folder = tmp_path_factory.mktemp("served") / "base"
    shutil.copytree(BASE, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": "{{ messages[-1]['content'] }}"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def answers() -> bool:
        assert process.poll() is None, "the server has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, **quiet) as process:
        try:
            until(answers)
            yield f"http://127.0.0.1:{port}/v1", str(folder)
        finally:
            process.terminate()


def test_a_real_server(served: tuple[str, str]) -> None:
    """Answers come back and probabilities are estimated from samples: shares of at most 16 answers, or nothing."""
    url, model = served
    probe = Probe((), ("Is ice cold?",), ("Are you sure?", "Would others agree?"))
    found = observe_endpoint(url, model, probe, timeout=PATIENCE)
    assert found.provenance["observation"]["yes"] == "sampled answers"
    values = found.traits["answers.yes"]
    assert values.shape == (1, 2)
    assert (np.isnan(values) | ((values >= 0) & (values <= 1))).all()
