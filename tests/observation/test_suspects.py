"""Models that are asked, behind a server and here: forms of log-probabilities, limits, rate limits, budgets."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import kinprint
from fake_completions import completions

from kinprint.errors import NotApplicable, ObservationError
from kinprint.observation.budget import Budget
from kinprint.observation.limits import limits
from kinprint.observation.questions import Answer, Question
from kinprint.observation.suspects import Served

BASE = Path(__file__).parents[2] / "examples" / "models" / "base"
TEXT = Question("likelihood", "early bread and calm sea")


def ones(text: str, number: int) -> list[float | None]:
    return [None, *[-float(i) for i in range(1, len(text.split()))]]


def asked(server: Any, question: Question = TEXT, **budget: Any) -> Answer | None:
    return Served(server.url, "m", 20, Budget(**budget)).answer([question])[0]


def test_an_echo() -> None:
    with completions(ones) as server:
        answer = asked(server)
    assert answer == Answer((-1.0, -2.0, -3.0, -4.0), (" bread", " and", " calm", " sea"), model="m", tokens=5)
    assert server.requests[0]["max_tokens"] == 0
    assert server.requests[0]["path"] == "/v1/completions"


def test_a_server_that_must_write_something() -> None:
    """What it writes behind the text does not count."""

    def change(number: int, request: Any, content: Any) -> Any:
        if request["max_tokens"] == 0:
            return 400, {}, {}
        choice = content["choices"][0]
        choice["text"] += " so"
        for name, value in (("tokens", " so"), ("text_offset", len(request["prompt"])), ("token_logprobs", -9.0)):
            choice["logprobs"][name].append(value)
        return 200, content, {}

    with completions(ones, change) as server:
        answer = asked(server)
    assert answer is not None
    assert answer.logprobs == (-1.0, -2.0, -3.0, -4.0)


def test_prompt_logprobs() -> None:
    """vLLM's own form."""

    def change(number: int, request: Any, content: Any) -> Any:
        if "prompt_logprobs" not in request:
            return 400, {}, {}
        tables = [None, {"17": {"logprob": -0.5, "rank": 1}}, {"3": {"logprob": -2.5, "rank": 9}}]
        return 200, {"model": "m", "choices": [{"text": "x", "prompt_logprobs": tables}]}, {}

    with completions(None, change) as server:
        answer = asked(server)
    assert answer is not None
    assert (answer.logprobs, answer.pieces) == ((-0.5, -2.5), ("17", "3"))


@pytest.mark.parametrize("value", ["x", 0.5, True])
def test_what_is_no_log_probability(value: Any) -> None:
    with (
        completions(lambda text, number: [None, value, *[-1.0] * 3]) as server,
        pytest.raises(ObservationError, match="holds no"),
    ):
        asked(server)


def test_a_server_without_them() -> None:
    with completions(None) as server, pytest.raises(NotApplicable, match="gives no log-probabilities"):
        asked(server)


def test_a_busy_server_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After is waited for, however often, up to a limit; each request counts."""
    slept: list[float] = []
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    with completions(
        ones, lambda number, request, content: (429, {}, {"Retry-After": "7"}) if number < 9 else (200, content, {})
    ) as server:
        suspect = Served(server.url, "m", 20)
        assert suspect.answer([TEXT])[0] is not None
    assert suspect.budget.requests == 9
    assert [seconds for seconds in slept if seconds > 1] == [pytest.approx(7)] * 8
    with (
        completions(ones, lambda number, request, content: (429, {}, {"Retry-After": "4000"})) as server,
        pytest.raises(ObservationError, match="wants 4000 s between requests"),
    ):
        asked(server)


def test_a_budget_of_requests_and_of_tokens() -> None:
    with completions(ones) as server:
        assert asked(server, most_requests=0) is None
        assert asked(server, most_tokens=10) is None
        assert server.requests == []
        assert asked(server, most_tokens=30) is not None


def test_the_limits_of_an_endpoint() -> None:
    """The most likely tokens that it gives, and whether chance can be had."""

    def change(number: int, request: Any, content: Any) -> Any:
        choice = content["choices"][0]
        if request.get("echo"):
            return 200, content, {}
        if request.get("logprobs", 0) > 20:
            return 400, {}, {}
        if request.get("logprobs"):
            choice["logprobs"] = {"top_logprobs": [{f"t{i}": -float(i) for i in range(request["logprobs"])}]}
        choice["text"] = f" {request.get('seed', 0) if request['temperature'] else 'so'}"
        return 200, content, {}

    with completions(ones, change) as server:
        found = limits(Served(server.url, "m", 20))
    assert found.to_json() == {
        "likelihood": True, "top": 20, "writes": True, "temperature": True, "seed": True, "greedy": True, "models": ["m"],
    }  # fmt: skip
    with completions(None) as server:
        poor = limits(Served(server.url, "m", 20))
    assert (poor.likelihood, poor.top, poor.temperature, poor.seed) == (False, 0, False, None)
    assert any("nothing can be sampled" in sentence for sentence in poor.sentences())


def test_a_model_that_is_run_here(tmp_path: Path) -> None:
    """Log-probabilities are those of transformers; the same seed writes the same; the command says what it gives."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from kinprint.observation.loaded import Loaded

    model = Loaded(str(BASE))
    texts = ["The sea is calm tonight.", "Bread", "def early(x):\n    return x"]
    found = model.answer([Question("likelihood", text) for text in texts])
    plain = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()
    for text, answer in zip(texts, found, strict=True):
        ids = torch.as_tensor([model.runner.encoded(text)])
        with torch.inference_mode():
            logs = plain(ids).logits.log_softmax(-1)[0, :-1].gather(-1, ids[0, 1:, None])[:, 0]
        assert answer is not None
        assert answer.logprobs == pytest.approx(logs.tolist(), abs=1e-4)
        assert len(answer.pieces) == len(answer.logprobs)
    one, same, other = model.answer([Question("writing", "The", 6, 1.0, seed) for seed in (1, 1, 2)])
    assert one == same != other
    (top,) = model.answer([Question("top", "The", 3)])
    assert top is not None
    assert list(top.top.values()) == sorted(top.top.values(), reverse=True)
    done = kinprint("black-box", "limits", BASE, "--json")
    assert json.loads(done.stdout)["top"] == 100
