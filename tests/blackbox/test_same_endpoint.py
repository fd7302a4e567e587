"""same-endpoint on writers of numpy: what refutes, what confirms, and what is no witness."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_suspects import Suspect, likelihoods, writes

from kinprint.blackbox import Asker, BlackBoxResult
from kinprint.blackbox.phylolm import similarity
from kinprint.blackbox.same_endpoint import apart, plan, same_endpoint
from kinprint.observation.questions import Answer, Question

TEXTS = [f"{word} and the sea was calm and the boat was slow on day {i}" for i, word in enumerate(["early", "late"] * 10)]
LETTERS = "aaabbc"


def _found(suspect: Suspect) -> BlackBoxResult:
    reference = Suspect(writing=writes(LETTERS), likelihood=likelihoods(LETTERS))
    return same_endpoint(Asker(reference), Asker(suspect), plan(TEXTS, samples=5, tokens=10))


def test_texts_alone_refute_and_never_confirm() -> None:
    """H0 holds for the first suspect: no evidence, whatever it writes; the second writes other letters."""
    found = _found(Suspect(writing=writes(LETTERS)))
    assert found.verdict == "no-evidence"
    assert "refuted and not confirmed" in found.notes[0]
    other = _found(Suspect(writing=writes("xxyyzz")))
    assert other.verdict == "refuted"
    assert other.log10_p is not None
    assert other.log10_p < -6


def test_log_probabilities_confirm() -> None:
    """The reference's own, up to a thousandth. A few percent of the spread may be rounding, most of it is another model."""
    found = _found(Suspect(writing=writes(LETTERS), likelihood=likelihoods(LETTERS, noise=1e-3)))
    assert found.verdict == "same-deployment"
    assert "another" in found.null
    assert _found(Suspect(writing=writes(LETTERS), likelihood=likelihoods(LETTERS, noise=0.1))).verdict == "no-evidence"
    other = _found(Suspect(writing=writes(LETTERS), likelihood=likelihoods(LETTERS, noise=1)))
    assert (other.verdict, other.log10_p) == ("refuted", None)


def test_the_model_and_another_way_to_draw() -> None:
    """Its log-probabilities, and texts that are not drawn from them."""
    found = _found(Suspect(writing=writes("xxyyzz"), likelihood=likelihoods(LETTERS)))
    assert found.verdict == "refuted"
    assert "texts are drawn otherwise" in found.sentence


def test_a_server_that_lies_gets_no_verdict() -> None:
    """One log-probability for every token, and another model once it has written."""
    constant = _found(Suspect(writing=writes(LETTERS), likelihood=lambda question: Answer(logprobs=(-1.0,) * 40)))
    assert constant.verdict == "untestable"
    honest, other, wrote = likelihoods(LETTERS), likelihoods("xyz"), []

    def write(question: Question) -> Answer:
        wrote.append(question)
        return writes(LETTERS)(question)

    changed = _found(Suspect(writing=write, likelihood=lambda question: (other if wrote else honest)(question)))
    assert changed.verdict == "untestable"
    assert "than at the beginning" in changed.sentence


def test_a_cache_and_another_tokenizer_are_named() -> None:
    cached = _found(Suspect(writing=lambda question: Answer(text="aab")))
    assert cached.verdict == "untestable"
    assert "again and again" in cached.sentence
    read = _found(Suspect(writing=writes(LETTERS), likelihood=lambda question: Answer(logprobs=(-1.0, -2.0))))
    assert "other tokens" in read.notes[0]


def test_seeds_of_both_sides_are_never_the_same() -> None:
    asked = plan(TEXTS, samples=10)
    ours, theirs = ({question.seed or 0 for question in side} for side in asked.writing)
    assert len(ours) == len(theirs) == 10 * len(TEXTS)
    assert max(ours | theirs) < 1 << 31
    assert not ours & theirs


def test_the_distance_of_log_probabilities_is_relative_to_their_spread() -> None:
    one = Answer(logprobs=(-1.0, -3.0, -5.0, -7.0))
    share, log10_p = apart(one, Answer(logprobs=tuple(value - 0.001 for value in one.logprobs)))
    assert share == pytest.approx(0.001 / np.std(one.logprobs))
    assert log10_p < -4
    assert apart(Answer(logprobs=(-1.0, -1.0)), one)[1] == 0


def test_phylolm_by_hand() -> None:
    """Two prompts; the first four characters count: frequencies (1/2, 1/2) against (1), and equal ones."""
    assert similarity([["abcdx", "efghx"], ["a"]], [["abcdy"], ["a"]]) == pytest.approx(1.5 / np.sqrt(1.5 * 2))
    assert similarity([["a", "b"]], [["b", "a"]]) == pytest.approx(1)
    assert np.isnan(similarity([[]], [["a"]]))
