"""How often unrelated models reach a score: measured on a benchmark, kept in a small file of this package."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FORMAT = "kinprint-false-accusations/1"
FILE = Path(__file__).with_name("measured.json")
"""Written by `kinprint benchmark --zoo DIR --calibration FILE`. Without it every score is shown as not measured."""


@dataclass(frozen=True)
class MeasuredScore:
    """What a score reached on unrelated pairs.

    Attributes:
        pairs: how many.
        statistics: ascending; evenly spaced quantiles, smallest and largest included, where there were many.
    """

    pairs: int
    statistics: tuple[float, ...]

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


def _measured(entry: Mapping[str, Any]) -> MeasuredScore:
    statistics = tuple(sorted(float(value) for value in entry["statistics"]))
    if not statistics:
        raise ValueError("no statistics")
    return MeasuredScore(int(entry["pairs"]), statistics)
