"""QueRE: what a model says about its own answers (arXiv 2501.01558).

Every question is answered greedily; after each answer every follow-up question is asked, and the probability of "yes" against
"no" is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinprint.observation.probe import Probe

ANSWER_TOKENS = 24
"""New tokens of an answer at most."""

YES, NO = ("yes", "no")


class Respondent(Protocol):
    """A model that can be asked."""

    def answers(self, prompts: list[str]) -> list[str]:
        """Greedy continuations of at most ANSWER_TOKENS tokens."""
        ...

    def yes(self, prompts: list[str]) -> NDArray[np.float64]:
        """(prompts,) probability that the next word is yes rather than no; NaN where it is neither."""
        ...


def question_prompt(question: str) -> str:
    return f"Question: {question}\nAnswer:"


def followup_prompt(question: str, answer: str, followup: str) -> str:
    return f"{question_prompt(question)} {first_line(answer)}\nQuestion: {followup} Say yes or no.\nAnswer:"


def first_line(text: str) -> str:
    """The answer alone: base models go on with questions of their own."""
    return text.strip().split("\n", 1)[0].strip()


def ask(model: Respondent, probe: Probe, progress: Callable[[int], None]) -> NDArray[np.float64]:
    """(questions, follow-ups) probability of yes.

    Args:
        progress: called with how many prompts have been put since it was last called.
    """
    answers = model.answers([question_prompt(question) for question in probe.questions])
    progress(len(probe.questions))
    rows = []
    for question, answer in zip(probe.questions, answers, strict=True):
        rows.append(model.yes([followup_prompt(question, answer, followup) for followup in probe.followups]))
        progress(len(probe.followups))
    return np.stack(rows)
