"""Models behind an OpenAI-compatible server: only what they answer can be observed."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.errors import ObservationError
from kinprint.observation.answers import ANSWER_TOKENS, NO, YES
from kinprint.observation.wire import ADDRESS, Wire, total_tokens

SAMPLES = 16
"""Answers drawn for an estimate where the server gives no probabilities."""

TOP = 20
"""Most likely tokens asked for."""

PARALLEL = 4
"""Requests at once."""


class Endpoint:
    """A model of an OpenAI-compatible server, by chat completions.

    Probabilities of "yes" come from the log-probabilities of the first token where the server offers them; else from
    SAMPLES sampled answers, with a standard error of at most 0.125.

    Args:
        url: of the API, as `http://localhost:8000/v1`.
        model: what the server calls the model.
        timeout: seconds that one request may take.

    Raises:
        ObservationError: of every method: the server cannot be reached, refuses, or answers with something else.
    """

    def __init__(self, url: str, model: str, timeout: float = 60.0) -> None:
        self.wire = Wire(url, timeout)
        self.url, self.model = self.wire.url, model
        self.sampled = False
        """Whether any probability had to be estimated from samples."""
        self.forward_tokens = 0
        """Tokens that the server says it has processed."""
        self._probabilities = True

    def answers(self, prompts: list[str]) -> list[str]:
        return self._all([{"prompt": prompt, "max_tokens": ANSWER_TOKENS, "temperature": 0} for prompt in prompts], _text)

    def yes(self, prompts: list[str]) -> NDArray[np.float64]:
        if self._probabilities:
            asked = [{"prompt": p, "max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP} for p in prompts]
            probabilities = self._all(asked, _from_logprobs)
            if all(value is not None for value in probabilities):
                return np.array(probabilities, dtype=np.float64)
            self._probabilities = False
        self.sampled = True
        return np.array([self._sampled(prompt) for prompt in prompts], dtype=np.float64)

    def _sampled(self, prompt: str) -> float:
        asked = [{"prompt": prompt, "max_tokens": 3, "temperature": 1, "seed": number} for number in range(SAMPLES)]
        words = self._all(asked, _text)
        counts = [sum(_word(text) == word for text in words) for word in (YES, NO)]
        return counts[0] / sum(counts) if sum(counts) else math.nan

    def _all(self, requests: list[dict[str, Any]], read: Any) -> list[Any]:
        with ThreadPoolExecutor(PARALLEL) as pool:
            replies = list(pool.map(self._post, requests))
        for reply in replies:
            self.forward_tokens += total_tokens(reply) or 0
        try:
            return [read(reply["choices"][0]) for reply in replies]
        except (KeyError, IndexError, TypeError) as error:
            raise ObservationError(self.url, "its answer is no chat completion", ADDRESS) from error

    def _post(self, request: dict[str, Any]) -> dict[str, Any]:
        """One chat completion, without log-probabilities where the server refuses to give them."""
        content = {"model": self.model, "messages": [{"role": "user", "content": request["prompt"]}], **request}
        del content["prompt"]
        return self.wire.post("chat/completions", content, without=_without_logprobs)


def _without_logprobs(content: dict[str, Any]) -> dict[str, Any]:
    """A server without them may say so by HTTP 400."""
    return {name: value for name, value in content.items() if name not in ("logprobs", "top_logprobs")}


def _text(choice: dict[str, Any]) -> str:
    text = choice["message"]["content"]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise TypeError
    return text


def _from_logprobs(choice: dict[str, Any]) -> float | None:
    """None where the server gives no probabilities; NaN where neither word is among the likely ones."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not content:
        return None
    top = content[0].get("top_logprobs") or []
    masses = [
        sum(math.exp(min(float(item["logprob"]), 0.0)) for item in top if _word(item["token"]) == word) for word in (YES, NO)
    ]
    return masses[0] / sum(masses) if sum(masses) > 0 else math.nan


def _word(text: str) -> str:
    """The first word of an answer in lower case, without punctuation."""
    words = text.strip().split()
    return words[0].strip(".,:;!?\"'*").lower() if words else ""
