"""Log-probabilities of many tokens after a prompt, from servers that list the likely ones and add biases to logits.

A server that lists k tokens shows any k tokens that all get one large bias, and so the differences between their
log-probabilities. One token that stands in every list ties the lists together (Morris et al., Language Model Inversion, 2024;
Carlini et al., Stealing Part of a Production Language Model, arXiv 2403.06634).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kinprint.arrays import Int64s
from kinprint.blackbox.asking import Asker
from kinprint.blackbox.output_heads import OutputHead
from kinprint.blackbox.span import DIRECTIONS, Reading
from kinprint.blackbox.token_names import TokenNames
from kinprint.errors import NotApplicable, ObservationError
from kinprint.observation.questions import Answer, Question

COUNTS = (1000, 100, 20, 5)
"""Likely tokens asked for, from many to few, where a server refuses to list all."""

OUTSIDE = 64
"""Directions outside the head's columns that biases are spent on."""

MOST_OUTSIDE = 1024
"""More directions than that say nothing new."""

BIAS = 100.0
"""What is added to logits: as much as APIs allow."""

LEAST = -500.0
"""Log-probabilities below stand for tokens that a server has left out."""

MORE = 0.01
"""By which probabilities may add up to more than one because they are rounded."""

AGAIN = 1e-2
"""Largest difference, as a share of the spread, between two answers to one question."""

Tell = Callable[[Sequence[Question]], None]


@dataclass(frozen=True)
class TopTokens:
    """What was read off.

    Attributes:
        readings: one a prompt, their tokens from the likeliest down.
        listed: likely tokens that the server lists at once.
        biased: whether the log-probabilities come from biases.
        faults: what is wrong with the answers, as clauses.
        notes: sentences.
    """

    readings: list[Reading]
    listed: int
    biased: bool = False
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def top_tokens(head: OutputHead, asking: Asker, prompts: Sequence[str], tell: Tell = lambda questions: None) -> TopTokens:
    """Ask a model for as many log-probabilities as a head of this size needs, or for as many as it gives.

    Args:
        head: whose tokens they are: the tokenizer is taken to be the suspect's too.
        prompts: the first is asked again at the end.
        tell: called with questions before they are asked.

    Raises:
        NotApplicable: the model gives no log-probabilities, or of tokens that this tokenizer does not have.
        ObservationError: it cannot be reached or run.
    """
    names = TokenNames(head.tokens)
    count, first = _most(head, asking, prompts[0], tell)
    asked = [Question("top", prompt, count) for prompt in prompts] + [Question("top", prompts[0], count, repeat=1)]
    tell(asked[1:])
    answers = [answer for answer in [first, *asking.ask(asked[1:])] if answer is not None]
    readings = [_reading(names, answer, len(head.rows)) for answer in answers]
    if not readings or max(len(reading.ids) for reading in readings) < 3:
        raise NotApplicable(f"gives log-probabilities of tokens that the tokenizer of {head.name} does not have")
    faults = _faults(answers)
    if len(answers) == len(asked):
        faults += _differences(readings[0], readings.pop())
    if len(readings[0].ids) >= _needed(head, DIRECTIONS) or faults:
        return TopTokens(readings, len(first.top), faults=faults)
    found = _by_biases(head, names, asking, prompts, len(first.top), tell)
    if found is None:
        note = "The server lists few tokens, and biases on logits do not change which: only their order can be tested."
        return TopTokens(readings, len(first.top), notes=[note])
    return found


def chosen(head: OutputHead, reading: Reading) -> Reading:
    """A reading of no more tokens than the span test needs, chosen by numbers that know nothing of the tokens."""
    order = np.random.default_rng(len(head.rows)).permutation(len(head.rows))[reading.ids]
    kept = np.sort(np.argsort(order, kind="stable")[: _needed(head, MOST_OUTSIDE)])
    kept = kept[np.argsort(reading.ids[kept], kind="stable")]
    return Reading(reading.ids[kept], reading.values[kept])


def _needed(head: OutputHead, outside: int) -> int:
    return head.hidden + 1 + (head.bias is not None) + outside


def _most(head: OutputHead, asking: Asker, prompt: str, tell: Tell) -> tuple[int, Answer]:
    """How many likely tokens can be asked for, and the first answer."""
    size = len(head.rows)
    for count in (size, *(count for count in COUNTS if count < size)):
        question = Question("top", prompt, count)
        tell([question])
        try:
            answer = asking.ask([question])[0]
        except ObservationError as error:
            if not any(f"HTTP {status}" in error.problem for status in (400, 413, 422, 500)):
                raise
            continue
        if answer is None:
            raise NotApplicable("could not be asked within the budget")
        if answer.top:
            return count, answer
    raise NotApplicable("gives no log-probabilities of likely tokens")


def _reading(names: TokenNames, answer: Answer, rows: int) -> Reading:
    """The tokens of an answer that have a name here, from the likeliest down."""
    listed = sorted(answer.top.items(), key=lambda item: -item[1])
    found: dict[int, float] = {}
    for name, value in listed:
        index = names.id(name)
        if index is not None and index < rows and value > LEAST:
            found.setdefault(index, value)
    ranked = len(found) if len(found) == len(listed) else 0
    return Reading(np.array(list(found), dtype=np.int64), np.array(list(found.values())), ranked)


def _faults(answers: Sequence[Answer]) -> list[str]:
    values = np.concatenate([np.array(list(answer.top.values())) for answer in answers])
    faults = []
    if values.max() - max(values.min(), LEAST) < 1e-6:
        faults.append("it gives every token the same log-probability")
    if any(sum(math.exp(min(value, 1.0)) for value in answer.top.values()) > 1 + MORE for answer in answers):
        faults.append("its probabilities add up to more than one")
    if len({answer.model for answer in answers}) > 1:
        faults.append("it answers under several names")
    return faults


def _differences(one: Reading, other: Reading) -> list[str]:
    """Whether two answers to one question differ."""
    _, first, second = np.intersect1d(one.ids, other.ids, return_indices=True)
    if len(first) < min(len(one.ids), len(other.ids)) // 2:
        return ["it lists other tokens when it is asked the same again"]
    apart = one.values[first] - other.values[second]
    if np.abs(apart - apart.mean()).max(initial=0.0) > AGAIN * max(float(one.values.std()), 1e-9):
        return ["it gives other log-probabilities when it is asked the same again"]
    return []


def _by_biases(
    head: OutputHead, names: TokenNames, asking: Asker, prompts: Sequence[str], listed: int, tell: Tell
) -> TopTokens | None:
    """One reading a prompt, of tokens in groups that are listed because they are biased; None where biases are ignored."""
    plain = np.array([index for index in names.plain() if index < len(head.rows)], dtype=np.int64)
    order = np.random.default_rng(len(plain)).permutation(plain)[: _needed(head, OUTSIDE)]
    if listed < 3 or len(order) < _needed(head, DIRECTIONS):
        return None
    anchor, rest = int(order[0]), order[1:]
    groups = [[anchor, *map(int, rest[start : start + listed - 1])] for start in range(0, len(rest), listed - 1)]

    def question(prompt: str, group: Sequence[int]) -> Question:
        return Question("top", prompt, listed, bias={str(index): BIAS for index in group})

    trial = asking.ask([question(prompts[0], groups[0])])[0]
    if trial is None or not _differences_of(names, trial, groups[0]):
        return None
    asked = [question(prompt, group) for prompt in prompts for group in groups]
    again = replace(asked[0], repeat=1)
    tell([*asked[1:], again])
    *answers, repeated = [trial, *asking.ask([*asked[1:], again])]
    found = []
    for start in range(0, len(asked), len(groups)):
        values: dict[int, float] = {}
        for group, answer in zip(groups, answers[start : start + len(groups)], strict=True):
            values |= {} if answer is None else _differences_of(names, answer, group)
        if len(values) >= _needed(head, DIRECTIONS) - 1:
            ids: Int64s = np.array([anchor, *values], dtype=np.int64)
            found.append(Reading(ids, np.array([0.0, *values.values()])))
    if not found:
        return None
    faults = [] if repeated is None else _differences(*(_reading(names, one, len(head.rows)) for one in (trial, repeated)))
    return TopTokens(found, listed, biased=True, faults=faults)


def _differences_of(names: TokenNames, answer: Answer, group: Sequence[int]) -> dict[int, float]:
    """Token -> its log-probability less that of the group's first; empty where not all of the group are listed."""
    values = {names.id(name): value for name, value in answer.top.items()}
    if not set(group) <= set(values) or not all(LEAST < values[index] < MORE for index in group):
        return {}
    return {index: values[index] - values[group[0]] for index in group[1:]}
