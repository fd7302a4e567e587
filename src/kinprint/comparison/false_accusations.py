"""How often unrelated models reach a score: measured on a benchmark, kept in a small file of this package.

Depth, width, architecture and recipe shape every score, so a share among small models says nothing of large ones: where the
models of a pair are of another family than those measured, or more than NEAR times as wide or deep, nothing is stated.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kinprint.fingerprints import Fingerprint

FORMAT = "kinprint-false-accusations/1"
FILE = Path(__file__).with_name("measured.json")
"""Written by `kinprint benchmark --zoo DIR --calibration FILE`. Without it every score is shown as not measured."""

NEAR = 2
"""A model may be so many times as wide, or as deep, as the largest one measured, and no narrower or flatter than the smallest
one by the same factor."""


@dataclass(frozen=True)
class MeasuredModels:
    """The models that a score was measured on.

    Attributes:
        families: their model types.
        hidden, layers: smallest and largest hidden size and number of layers.
    """

    families: frozenset[str]
    hidden: tuple[int, int]
    layers: tuple[int, int]

    def like(self, model: Fingerprint) -> bool:
        """Whether they are of a model's family and size."""
        stated = model.stated
        sizes = ((stated.hidden_size, self.hidden), (model.layers, self.layers))
        return stated.model_type in self.families and all(
            size is not None and low <= NEAR * size and size <= NEAR * high for size, (low, high) in sizes
        )


@dataclass(frozen=True)
class MeasuredScore:
    """What a score reached on unrelated pairs.

    Attributes:
        pairs: how many.
        statistics: ascending; evenly spaced quantiles, smallest and largest included, where there were many.
        models: of these pairs; None where the file does not say.
    """

    pairs: int
    statistics: tuple[float, ...]
    models: MeasuredModels | None = None

    @property
    def median(self) -> float:
        """What half of the unrelated pairs reach."""
        return self.statistics[len(self.statistics) // 2]

    def reached(self, statistic: float) -> tuple[int, int]:
        """How many of the unrelated pairs reach a statistic (rounded up where only quantiles are kept), and their number."""
        share = (len(self.statistics) - bisect_left(self.statistics, statistic)) / len(self.statistics)
        return math.ceil(share * self.pairs - 1e-9), self.pairs


@cache
def measured(path: Path = FILE) -> Mapping[str, MeasuredScore]:
    """The measured scores, by name; none if the file is absent or not readable: a comparison must not fail because of it."""
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            return {}
        return {name: _measured(entry) for name, entry in data["scores"].items() if entry["pairs"] > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def false_accusations(score: str, statistic: float | None) -> tuple[int, int] | None:
    """How many unrelated pairs of the benchmark reach this statistic, and of how many; None where nobody measured it."""
    known = measured().get(score)
    return None if known is None or statistic is None else known.reached(statistic)


def strangers_of(score: str, models: Iterable[Fingerprint]) -> MeasuredScore | None:
    """What strangers like these models reach by a score; None where such models were not measured."""
    known = measured().get(score)
    return known if known is not None and known.models is not None and all(map(known.models.like, models)) else None


def _measured(entry: Mapping[str, Any]) -> MeasuredScore:
    statistics = tuple(sorted(float(value) for value in entry["statistics"]))
    if not statistics:
        raise ValueError("no statistics")
    return MeasuredScore(int(entry["pairs"]), statistics, _models(entry["models"]) if "models" in entry else None)


def _models(entry: Mapping[str, Any]) -> MeasuredModels:
    (low, high), (flat, deep) = entry["hidden_size"], entry["num_hidden_layers"]
    return MeasuredModels(frozenset(map(str, entry["families"])), (int(low), int(high)), (int(flat), int(deep)))
