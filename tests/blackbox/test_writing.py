"""palimpsest of what a suspect writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from kinprint.blackbox import Asker
from kinprint.blackbox.palimpsest import palimpsest_of_writing
from kinprint.blackbox.transcripts import Transcript
from kinprint.blackbox.writing import likelihoods
from kinprint.observation.budget import Budget
from kinprint.observation.questions import Answer

TEXTS = tuple(" ".join(np.random.default_rng(i).choice([f"w{k}" for k in range(60)], 20).tolist()) for i in range(200))


class Writes:
    """Gives what a function writes from a seed."""

    name, where, batch = "w", "", 64

    def __init__(self, write: Any) -> None:
        self._write, self.budget = write, Budget()

    def answer(self, asked: Any) -> list[Answer | None]:
        return [Answer(text=self._write(question.seed)) for question in asked]


def transcript(seed: int) -> Transcript:
    return Transcript("t", "0", TEXTS, np.random.default_rng(seed).permutation(len(TEXTS)).astype(float))


def test_strangers_are_uniform() -> None:
    """H0: the order is one of all orders with equal probability, whatever the texts and the writing are."""
    asked = Asker(Writes(lambda seed: TEXTS[seed * 7 % 200]))
    found = [palimpsest_of_writing(transcript(seed), asked, 40).log10_p for seed in range(30)]
    assert kstest([10**p for p in found if p is not None], "uniform").pvalue > 1e-3


def test_one_that_writes_what_it_read_last() -> None:
    order = transcript(0)
    late = [TEXTS[i] for i in np.argsort(order.positions)[100:]]
    found = palimpsest_of_writing(order, Asker(Writes(lambda seed: late[seed % 100][:60])), 100)
    assert found.verdict == "descends"
    assert found.statistics["samples"] == 100


@pytest.mark.parametrize(("write", "word"), [(lambda seed: "so", "again and again"), (lambda seed: " ", "wrote 0 texts")])
def test_one_that_cannot_be_sampled(write: Any, word: str, tmp_path: Path) -> None:
    found = palimpsest_of_writing(transcript(1), Asker(Writes(write)), 20)
    assert found.verdict == "untestable"
    assert word in found.sentence


def test_likelihoods_are_those_of_a_distribution() -> None:
    """Of the words that may follow, all together have no more than probability 1."""
    words = ["a", "b", "c", " "]
    total = sum(np.exp(likelihoods([f"a b{word}"], ["a b c a b", "b c a"])[0]) for word in words)
    assert total <= np.exp(likelihoods(["a b"], ["a b c a b", "b c a"])[0]) * (1 + 1e-9)
