"""What a model is asked and what it answers, in a form that a file can hold: each question has a key that a rerun knows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from blake3 import blake3

Kind = Literal["likelihood", "writing", "top"]


@dataclass(frozen=True)
class Question:
    """One request to a model.

    Attributes:
        kind: "likelihood" for the log-probabilities of the tokens of `text`; "writing" for a continuation of it; "top" for the
            most likely tokens behind it.
        text: what is read.
        count: tokens that are written at most ("writing"), or how many likely tokens are wanted ("top").
        temperature, seed: of "writing"; seed None leaves chance to the model.
        bias: token id -> what is added to its logit ("top").
        repeat: number of the same question asked again.
    """

    kind: Kind
    text: str
    count: int = 0
    temperature: float = 1.0
    seed: int | None = None
    bias: Mapping[str, float] = field(default_factory=dict)
    repeat: int = 0

    @property
    def key(self) -> str:
        """BLAKE3 (hex, 32 digits) of everything above."""
        parts = [self.kind, self.text, self.count, self.temperature, self.seed, sorted(self.bias.items()), self.repeat]
        return blake3(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest(16)

    @property
    def most_tokens(self) -> int:
        """Tokens that it can cost at most: a token stands for at least one byte, and some models put one in front."""
        written = {"likelihood": 1, "writing": self.count, "top": 1}[self.kind]
        return len(self.text.encode("utf-8", "surrogatepass")) + 1 + written


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        logprobs: of the tokens of the text ("likelihood", without a first one that has none) or of what was written, where the
            model gives them; natural logarithms.
        pieces: what stands for each of these tokens: its text, or its id.
        text: what was written.
        top: likely token -> log-probability ("top").
        model: what the server calls the model in this answer; empty of a local one.
        tokens: read and written.
    """

    logprobs: tuple[float, ...] = ()
    pieces: tuple[str, ...] = ()
    text: str = ""
    top: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """Without what is empty."""
        lists = {"logprobs": list(self.logprobs), "pieces": list(self.pieces)}
        found = {**lists, "text": self.text, "top": dict(self.top), "model": self.model}
        return {name: value for name, value in found.items() if value} | {"tokens": self.tokens}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Answer:
        """Raises ValueError for anything that `to_json` does not write."""
        logprobs, pieces, top = row.get("logprobs", []), row.get("pieces", []), row.get("top", {})
        text, model, tokens = row.get("text", ""), row.get("model", ""), row.get("tokens", 0)
        if not isinstance(logprobs, list) or not isinstance(top, dict):
            raise ValueError("no log-probabilities")
        if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
            raise ValueError("no tokens")
        if not isinstance(text, str) or not isinstance(model, str) or type(tokens) is not int or tokens < 0:
            raise ValueError("no answer")
        likely = {str(key): number(value) for key, value in top.items()}
        return cls(tuple(map(number, logprobs)), tuple(pieces), text, likely, model, tokens)


def number(value: object) -> float:
    """A finite number; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no number")
    return float(value)
