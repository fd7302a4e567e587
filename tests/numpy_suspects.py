"""Suspects of black-box tests without a neural network: a head behind random hidden states, a writer of letters."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from kinprint.blackbox.output_heads import OutputHead
from kinprint.errors import NotApplicable
from kinprint.observation.budget import Budget
from kinprint.observation.questions import Answer, Question

TOKENS, HIDDEN = 160, 40
NAMES = [chr(0x21 + i) if i < 90 else f"w{i}" for i in range(TOKENS)]


def head(seed: int, *, tied: bool = True) -> OutputHead:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(TOKENS, HIDDEN)).astype(np.float32)
    return OutputHead(
        f"head-{seed}", rows, gain=np.ones(HIDDEN, np.float32), tokens={n: i for i, n in enumerate(NAMES)}, tied=tied
    )


class Suspect:
    """Answers by functions, one for each kind of question; a kind without one is not given."""

    where = "http://suspect/v1"
    batch = 64

    def __init__(self, **answers: Callable[[Question], Answer]) -> None:
        self.name, self.budget, self._answers = "suspect", Budget(), answers

    def answer(self, questions: Sequence[Question]) -> list[Answer | None]:
        found: list[Answer | None] = []
        for question in questions:
            self.budget.reserve(1)
            if question.kind not in self._answers:
                raise NotApplicable(f"gives no {question.kind}")
            found.append(self._answers[question.kind](question))
        return found


def tops(of: OutputHead, *, listed: int = TOKENS, biases: bool = True, noise: float = 0.0) -> Callable[[Question], Answer]:
    """What a model with this head lists: a hidden state for every prompt."""
    rng = np.random.default_rng(0)

    def answer(question: Question) -> Answer:
        x = np.random.default_rng(zlib.crc32(question.text.encode())).normal(size=HIDDEN)
        logits = of.rows.astype(float) @ (x / np.sqrt((x**2).mean()))
        for token, added in question.bias.items() if biases else ():
            logits[int(token)] += added
        values = logits - np.logaddexp.reduce(logits) + noise * rng.normal(size=TOKENS)
        best = np.argsort(-values)[: min(question.count, listed)]
        return Answer(top={NAMES[i]: float(min(values[i], 0)) for i in best})

    return answer


def writes(letters: str) -> Callable[[Question], Answer]:
    """A model that writes letters at random, each as likely as often as it stands in `letters`."""

    def answer(question: Question) -> Answer:
        rng = np.random.default_rng([question.seed or 0, zlib.crc32(question.text.encode())])
        return Answer(text="".join(rng.choice(list(letters), size=question.count)))

    return answer


def likelihoods(letters: str, noise: float = 0.0) -> Callable[[Question], Answer]:
    """The log-probabilities of the same model, a letter each; those of other characters depend on the character alone."""

    def answer(question: Question) -> Answer:
        rng = np.random.default_rng(zlib.crc32(question.text.encode()))
        logs = [np.log(letters.count(c) / len(letters)) if c in letters else -3 - (ord(c) % 7) for c in question.text[1:]]
        return Answer(logprobs=tuple(float(value + noise * rng.normal()) for value in logs))

    return answer
