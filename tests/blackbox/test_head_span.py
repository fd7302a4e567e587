"""head-span from the first question to the verdict, on heads of numpy."""

from __future__ import annotations

import pytest
from numpy_suspects import HIDDEN, Suspect, head, tops

from kinprint.blackbox import Asker, BlackBoxResult
from kinprint.blackbox.head_span import head_span
from kinprint.observation.budget import Budget
from kinprint.observation.questions import Answer, Question

PROMPTS = ["one", "two", "three"]


def _found(suspect: Suspect, **options: bool) -> BlackBoxResult:
    return head_span(head(1), Asker(suspect), PROMPTS, **options)  # type: ignore[arg-type]


def test_the_same_head_is_recognised() -> None:
    found = _found(Suspect(top=tops(head(1))))
    assert found.verdict == "same-head"
    assert found.log10_p is not None
    assert found.log10_p < -100
    assert found.statistics["states behind the reference's norm"] == "yes"
    assert found.statistics["temperature"] == pytest.approx(1.0)
    assert "has the output head" in found.sentence


def test_another_head_is_refuted_without_a_p_value() -> None:
    found = _found(Suspect(top=tops(head(2))))
    assert (found.verdict, found.log10_p) == ("refuted", None)
    assert "head was trained on" in found.sentence


@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_that_lists_few_is_read_through_biases(seed: int) -> None:
    """10 tokens at a time, one of them in every list."""
    found = _found(Suspect(top=tops(head(seed), listed=10)))
    assert found.verdict == ("same-head" if seed == 1 else "refuted")
    assert found.requests == 1 + len(PROMPTS) + len(PROMPTS) * 12 + 1


def test_few_tokens_without_biases_refute_nothing() -> None:
    """Orders of 3 tokens, with a hidden size of 40."""
    found = _found(Suspect(top=tops(head(2), listed=3, biases=False)))
    assert found.verdict == "no-evidence"
    assert "hardly any order could" in found.sentence
    assert found.notes


def test_orders_alone_refute_another_head_and_confirm_none() -> None:
    assert _found(Suspect(top=tops(head(1))), order_alone=True).verdict == "no-evidence"
    found = _found(Suspect(top=tops(head(2))), order_alone=True)
    assert found.verdict == "refuted"
    assert int(found.statistics["tokens in order"] or 0) > HIDDEN


def test_servers_that_lie_get_no_verdict() -> None:
    """Noise, one probability for every token, another model after a while, and none at all."""
    first, second, asked = tops(head(1)), tops(head(2)), [0]

    def changing(question: Question) -> Answer:
        asked[0] += 1
        return (first if asked[0] < 4 else second)(question)

    lies = {
        "asked the same again": tops(head(1), noise=0.3),
        "the same log-probability": lambda question: Answer(top=dict.fromkeys("!#$%&", -1.0)),
        "more than one model": changing,
        "more than one": lambda question: Answer(top={"!": -0.1, "#": -0.2, "$": -5.0}),
    }
    for words, lie in lies.items():
        found = _found(Suspect(top=lie))  # type: ignore[arg-type]
        assert found.verdict == "untestable"
        assert "is no witness" in found.sentence, words
    assert "gives no top" in _found(Suspect()).sentence
    assert "does not have" in _found(Suspect(top=lambda question: Answer(top={"unknown": -1.0, "names": -2.0}))).sentence


def test_a_spent_budget_is_said() -> None:
    suspect = Suspect(top=tops(head(1), listed=10))
    suspect.budget = Budget(most_requests=0)
    suspect.answer = lambda questions: [None] * len(questions)  # type: ignore[method-assign]
    assert "within the budget" in _found(suspect).sentence
