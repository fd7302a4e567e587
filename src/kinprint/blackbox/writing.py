"""What a suspect writes, as a model of texts: for suspects that give no log-probabilities.

A model that was made by a run writes a little more of what it read last. What it wrote makes a model of n-grams, whose
log-likelihoods of the transcript's texts take the place of the suspect's own. They come from the texts and the writing alone,
so under the null hypothesis they have nothing to do with positions. It needs very much writing.

Source: Kuditipudi et al., arXiv 2510.19796, "observational setting", which partitions the transcript instead.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import printable
from kinprint.observation.questions import Answer, Question

PROMPT = "\n"
LENGTH = 180
"""Tokens of one sample."""

ORDER = 3
"""Words of an n-gram."""

VOCABULARY = 1 << 16
"""Words that a word which was never seen may be."""

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


def samples(count: int, temperature: float = 1.0) -> list[Question]:
    """What is asked: so many continuations of nothing in particular, each from a seed of its own."""
    return [Question("writing", PROMPT, LENGTH, temperature, seed) for seed in range(count)]


def writing_faults(answers: Sequence[Answer]) -> list[str]:
    """What is wrong with samples, as clauses; empty if nothing is."""
    found, names = [], sorted({answer.model for answer in answers})
    if len(names) > 1:
        found.append(f"it answers under {len(names)} names ({', '.join(printable(name, 60) or 'none' for name in names[:4])})")
    if len({answer.text for answer in answers}) <= max(len(answers) // 2, 1):
        found.append("it writes the same again and again: temperature and seed have no effect")
    return found


def likelihoods(texts: Sequence[str], of: Sequence[str]) -> Float64s:
    """(n,) natural log-likelihoods of texts under the n-grams of other texts, by Witten and Bell's interpolation (1991)."""
    counts: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(ORDER)]
    contexts: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(ORDER)]
    kinds: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(ORDER)]
    for words in map(_WORD.findall, of):
        for end in range(len(words)):
            for size in range(min(ORDER, end + 1)):
                gram = tuple(words[end - size : end + 1])
                kinds[size][gram[:-1]] += gram not in counts[size]
                counts[size][gram] += 1
                contexts[size][gram[:-1]] += 1

    def likelihood(words: list[str]) -> float:
        total = 0.0
        for end in range(len(words)):
            chance = 1 / VOCABULARY
            for size in range(min(ORDER, end + 1)):
                gram = tuple(words[end - size : end + 1])
                seen = contexts[size][gram[:-1]]
                if not seen:
                    break
                others = kinds[size][gram[:-1]]
                chance = (counts[size][gram] + others * chance) / (seen + others)
            total += math.log(chance)
        return total

    return np.array([likelihood(_WORD.findall(text)) for text in texts])
