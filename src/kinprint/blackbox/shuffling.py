"""Whether the order of a transcript looks shuffled: the null hypothesis of the palimpsest test holds for no other one.

A transcript sorted by length, source or date would accuse strangers: every model finds short texts, code or old news more
likely than others. What can be checked of an order without the suspect is checked here; each check asks a question whose answer
is "no" for a shuffled order, with a p-value, and all of them together fail one shuffled order in FALSE.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from kinprint.arrays import Float64s
from kinprint.blackbox.transcripts import Transcript
from kinprint.statistics.concordance import average_ranks
from kinprint.statistics.distributions import chi_squared_log10_tail

FALSE = 1e-3
"""Share of shuffled orders that the checks fail."""

FEW = 5
"""Texts of a source at least; others are taken together."""


class Check(NamedTuple):
    """One question about an order.

    Attributes:
        words: what the order would have to do with, as a clause.
        p: two-sided.
    """

    words: str
    p: float


def checks(transcript: Transcript, likelihoods: Sequence[tuple[str, Float64s]] = ()) -> list[Check]:
    """The checks of a transcript.

    Args:
        likelihoods: name of a control model -> its log-likelihoods of the texts (n,): what an order must not follow either.
    """
    found = []
    for words, values in [
        *_properties(transcript.texts),
        *((f"what {name} finds likely", values) for name, values in likelihoods),
    ]:
        found.append(Check(f"goes with {words}", trend(values, transcript.positions)))
        found.append(Check(f"puts texts of like {words} together", neighbours(values, transcript.positions)))
    if "date" in transcript.about and (dates := _dates(transcript.about["date"])) is not None:
        found.append(Check("goes with the dates of the texts", trend(dates, transcript.positions)))
    if "source" in transcript.about:
        found.append(Check("goes with the sources of the texts", by_source(transcript.about["source"], transcript.positions)))
    return found


def failed(found: Sequence[Check]) -> list[Check]:
    """Those that a shuffled order would hardly fail, Bonferroni's correction made."""
    return [check for check in found if check.p * len(found) <= FALSE]


def trend(values: Float64s, positions: Float64s) -> float:
    """Two-sided p of Spearman's correlation, by its normal limit: good enough for a check."""
    a, b = average_ranks(values), average_ranks(positions)
    size = math.sqrt(float(a @ a) * float(b @ b))
    return _two_sided(float(a @ b) / size * math.sqrt(len(a) - 1)) if size > 0 else 1.0


def neighbours(values: Float64s, positions: Float64s) -> float:
    """Two-sided p of the correlation of ranks between texts that follow each other (Wald and Wolfowitz, 1943), where the order
    is known: between texts of different positions, in the order of the file where they are equal."""
    ranks = average_ranks(values)[np.argsort(positions, kind="stable")]
    square = float(ranks @ ranks)
    if square <= 0:
        return 1.0
    count = len(ranks)
    return _two_sided((float(ranks[:-1] @ ranks[1:]) / square + 1 / count) * math.sqrt(count))


def by_source(sources: Sequence[str], positions: Float64s) -> float:
    """p of Kruskal and Wallis's test that texts of one source stand earlier or later than those of others."""
    names, places, counts = np.unique(np.array(sources), return_inverse=True, return_counts=True)
    groups = np.where(counts >= FEW, np.arange(len(names)), len(names))[places]
    ranks = average_ranks(positions)
    variance = float(ranks @ ranks) / (len(ranks) - 1)
    sizes = np.bincount(groups)
    if (sizes > 0).sum() < 2 or variance <= 0:
        return 1.0
    statistic = float((np.bincount(groups, ranks) ** 2 / np.maximum(sizes, 1)).sum()) / variance
    return float(10 ** chi_squared_log10_tail(np.array([statistic]), int((sizes > 0).sum()) - 1)[0])


def _properties(texts: Sequence[str]) -> Iterator[tuple[str, Float64s]]:
    """What can be said of a text without a model: how long it is, and how much it repeats itself."""
    data = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.array([len(each) for each in data], dtype=np.float64)
    yield "length", lengths
    yield "compressibility", np.array([len(zlib.compress(each, 6)) for each in data]) / lengths


def text_features(texts: Sequence[str]) -> Float64s:
    """(n, 2) logarithm of the length in bytes, and compressed bytes a byte."""
    lengths, dense = (values for _, values in _properties(texts))
    return np.stack([np.log(lengths), dense], axis=1)


def _dates(said: Sequence[str]) -> Float64s | None:
    """Dates as numbers, where all are numbers or dates of ISO 8601."""
    try:
        return np.array([float(each) for each in said])
    except ValueError:
        pass
    try:
        return np.array([datetime.fromisoformat(each).replace(tzinfo=None).timestamp() for each in said])
    except (ValueError, OverflowError, OSError):
        return None


def _two_sided(z: float) -> float:
    return float(2 * ndtr(-abs(z)))
