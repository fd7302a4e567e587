"""What an endpoint gives and what it does not, found out by asking: a test needs one thing or another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kinprint.errors import NotApplicable, ObservationError
from kinprint.observation.questions import Answer, Question
from kinprint.observation.suspects import Suspect

TEXT = "The boat came back before the tide turned, and nobody on the pier"
TOPS = (100, 20, 10, 5, 1)
"""How many likely tokens are asked for, until the server gives some."""

SAMPLES = 4
HOT = 1.5
WRITTEN = 12
"""Samples, their temperature, and tokens of each."""


@dataclass(frozen=True)
class Limits:
    """What an endpoint gives.

    Attributes:
        likelihood: log-probabilities of the tokens of a text that it is sent.
        top: how many likely tokens with log-probabilities; 0 for none.
        writes: continuations of a text.
        temperature: whether samples at HOT differ where greedy ones do not; None if it does not write.
        seed: whether one seed gives one sample, and others others; None if temperature has no effect.
        greedy: whether temperature 0 always writes the same.
        models: what the server calls the model, in order of appearance.
    """

    likelihood: bool
    top: int
    writes: bool
    temperature: bool | None
    seed: bool | None
    greedy: bool | None
    models: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"models": list(self.models)}

    def sentences(self) -> list[str]:
        """The same for people."""
        if not self.writes:
            writing = "writes no continuations"
        elif not self.temperature:
            writing = "writes the same at every temperature: nothing can be sampled"
        else:
            writing = f"temperature has an effect; a seed has {'one' if self.seed else 'none'}"
        return [
            "gives log-probabilities of a text" if self.likelihood else "gives no log-probabilities of a text",
            f"gives the {self.top} likeliest tokens" if self.top else "gives no likely tokens",
            writing + ("" if self.greedy is not False else "; greedy answers differ from each other"),
            f"calls itself {', '.join(self.models) or 'nothing'}",
        ]


def limits(suspect: Suspect) -> Limits:
    """Find out what a suspect gives, by about a dozen short requests; none of them is tried again if it is refused.

    Raises:
        ObservationError: it cannot be reached, or answers nothing at all.
    """
    likelihood = _answer(suspect, Question("likelihood", TEXT))
    tops = (_answer(suspect, Question("top", TEXT, count)) for count in TOPS)
    top = next((answer for answer in tops if answer is not None and answer.top), None)
    cold = [_answer(suspect, Question("writing", TEXT, WRITTEN, 0.0, repeat=i)) for i in range(2)]
    writes = cold[0] is not None and bool(cold[0].text)
    hot = [_answer(suspect, Question("writing", TEXT, WRITTEN, HOT, seed)) for seed in range(SAMPLES)] if writes else []
    again = [_answer(suspect, Question("writing", TEXT, WRITTEN, HOT, 0, repeat=1))] if writes else []
    texts = [answer.text for answer in hot if answer is not None]
    temperature = len(set(texts)) > 1 if writes else None
    asked = [likelihood, top, *cold, *hot, *again]
    if all(answer is None for answer in asked):
        raise ObservationError(suspect.where or suspect.name, "it answers none of the questions", "check the name of the model")
    return Limits(
        likelihood=likelihood is not None,
        top=0 if top is None else len(top.top),
        writes=writes,
        temperature=temperature,
        seed=(again[0] is not None and again[0].text == texts[0]) if temperature else None,
        greedy=(cold[1] is not None and cold[0] is not None and cold[0].text == cold[1].text) if writes else None,
        models=tuple(dict.fromkeys(answer.model for answer in asked if answer is not None and answer.model)),
    )


def _answer(suspect: Suspect, question: Question) -> Answer | None:
    """None where it is refused or cannot be given."""
    try:
        return suspect.answer([question])[0]
    except NotApplicable:
        return None
    except ObservationError as error:
        if "HTTP 4" in error.problem:
            return None
        raise
