"""Whether what answers is one model that means what it says: some questions are asked again in the middle and at the end.

A server may give constant log-probabilities, add noise to them, cut texts short, or answer by another model after a while. None
of this makes a p-value smaller than it is, but a test of such answers would be a test of nothing in particular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import printable
from kinprint.observation.questions import Answer, Question

REPEATED = 6
"""Questions that are asked again."""

TOLERANCE = 0.2
"""Largest difference between two answers to one question, in deviations between texts: servers that batch round differently,
by thousandths of a deviation."""


def with_repeats(questions: Sequence[Question]) -> list[Question]:
    """The questions, with the first REPEATED of them asked again behind the middle and at the end."""
    again = [[replace(question, repeat=number) for question in questions[:REPEATED]] for number in (1, 2)]
    middle = (len(questions) + 1) // 2
    return [*questions[:middle], *again[0], *questions[middle:], *again[1]]


def faults(asked: Sequence[Question], answers: Sequence[Answer | None]) -> list[str]:
    """What is wrong with answers to likelihood questions, as clauses; empty if nothing is.

    Args:
        asked: as `with_repeats` gives them; answers to them, None for what was not asked.
    """
    found, given = [], [(question, answer) for question, answer in zip(asked, answers, strict=True) if answer is not None]
    names = sorted({answer.model for _, answer in given})
    if len(names) > 1:
        found.append(f"it answers under {len(names)} names ({', '.join(printable(name, 60) or 'none' for name in names[:4])})")
    values = np.concatenate([np.array(answer.logprobs) for _, answer in given]) if given else np.zeros(0)
    if len(values) > 1 and float(np.ptp(values)) < 1e-6:
        found.append("it gives every token the same log-probability")
    given = [(question, answer) for question, answer in given if answer.logprobs]
    means = _means([answer for question, answer in given if not question.repeat])
    spread = float(means.std()) if len(means) > 1 else 0.0
    first = {question.text: answer for question, answer in given if not question.repeat}
    for number, when in ((1, "in the middle"), (2, "at the end")):
        again = [
            (first[question.text], answer) for question, answer in given if question.repeat == number and question.text in first
        ]
        if any(len(one.logprobs) != len(other.logprobs) for one, other in again):
            found.append(f"{when} it reads a text as another number of tokens than at the beginning")
            continue
        apart = max((abs(float(np.mean(one.logprobs)) - float(np.mean(other.logprobs))) for one, other in again), default=0.0)
        if apart > TOLERANCE * spread > 0:
            found.append(f"{when} it gives other log-probabilities of a text than at the beginning (by {apart:.2g} a token)")
    return found


def _means(answers: Sequence[Answer]) -> Float64s:
    """(n,) mean log-probability of a token."""
    return np.array([float(np.mean(answer.logprobs)) for answer in answers])
