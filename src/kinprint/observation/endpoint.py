"""Models behind an OpenAI-compatible server: only what they answer can be observed."""

from __future__ import annotations

import json
import math
import os
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from kinprint.errors import ObservationError
from kinprint.observation.answers import ANSWER_TOKENS, NO, YES

SAMPLES = 16
"""Answers drawn for an estimate where the server gives no probabilities."""

TOP = 20
"""Most likely tokens asked for."""

MAX_BYTES = 4_000_000
"""Of one response."""

RETRIES = 4
PARALLEL = 4
_ADDRESS = "give the address of the API, with /v1"
AGAIN = (408, 429, 500, 502, 503, 504)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What a server redirects to is not followed: the user's key would go along."""

    def redirect_request(self, *_: Any) -> None:
        return None


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
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ObservationError(url, "no address of a server", "give one such as http://localhost:8000/v1")
        self.url, self.model, self.timeout = url.rstrip("/"), model, timeout
        self.sampled = False
        """Whether any probability had to be estimated from samples."""
        self._opener = urllib.request.build_opener(_NoRedirects)
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
            usage = reply.get("usage")
            total = usage.get("total_tokens") if isinstance(usage, dict) else None
            self.forward_tokens += total if isinstance(total, int) and 0 < total < 1 << 31 else 0
        try:
            return [read(reply["choices"][0]) for reply in replies]
        except (KeyError, IndexError, TypeError) as error:
            raise ObservationError(
                self.url, "its answer is no chat completion", "give the address of the API, with /v1"
            ) from error

    def _post(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, tried again with growing pauses where that may help."""
        content = {"model": self.model, "messages": [{"role": "user", "content": request["prompt"]}], **request}
        del content["prompt"]
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        for attempt in range(RETRIES + 1):
            try:
                sent = urllib.request.Request(f"{self.url}/chat/completions", json.dumps(content).encode(), headers)
                with self._opener.open(sent, timeout=self.timeout) as answer:
                    data = answer.read(MAX_BYTES + 1)
                return self._parsed(data)
            except urllib.error.HTTPError as error:
                if error.code == 400 and "logprobs" in content:  # a server without them may say so this way
                    content = {name: value for name, value in content.items() if name not in ("logprobs", "top_logprobs")}
                elif error.code not in AGAIN or attempt == RETRIES:
                    raise ObservationError(self.url, f"the server answers HTTP {error.code}", _remedy(error.code)) from error
            except OSError as error:  # timeouts among them
                reason = getattr(error, "reason", error)
                if attempt == RETRIES or isinstance(reason, ConnectionRefusedError):
                    raise ObservationError(self.url, f"no answer ({reason})", "check the address, is it running?") from error
            time.sleep(0.25 * 2**attempt)
        raise ObservationError(self.url, "no answer", "try again later")

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(data) if len(data) <= MAX_BYTES else None
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise ObservationError(self.url, "its answer is no JSON object", _ADDRESS)
        return reply


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "set OPENAI_API_KEY to a key of yours"
    if status in (301, 302, 303, 307, 308):
        return "it redirects; give the address that it redirects to"
    if status == 404:
        return "check the address (with /v1) and the name of the model"
    return "try again later"


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
