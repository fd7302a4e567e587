"""Who descends from whom: marks that training and surgery leave, each offered with its measured accuracy only.

A weaker statement than relatedness: nothing here has a null hypothesis. The first mark that speaks decides, and only if it was
right often enough on models whose lineage is known (`measured`). Horwitz et al., *Unsupervised Model Tree Heritage Recovery*
(MoTHer, 2024), take the kurtosis of weights; it is measured beside these in benchmarks/tree.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kinprint.fingerprints import Fingerprint

FORMAT = "kinprint-directions/1"
FILE = Path(__file__).with_name("directions.json")
"""Written by `benchmarks/tree.py --calibration`. Without it no direction is offered."""

LOWEST = 0.6
"""A mark counts if the lower end of the 95 % interval of its accuracy is above this; chance is 0.5."""

NOTHING = 1e-3
"""Relative difference that counts as none."""

Mark = Callable[[Fingerprint, Fingerprint], float | None]
"""Positive if the second model looks like the descendant, negative if the first does, None or 0 if it does not say."""


@dataclass(frozen=True)
class Direction:
    """Which of two neighbouring models is the descendant.

    Attributes:
        forward: True if the second descends from the first.
        mark: name of what says so.
        right, total: how often it was right where it was measured.
    """

    forward: bool
    mark: str
    right: int
    total: int

    @property
    def accuracy(self) -> float:
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.total)

    def to_json(self) -> dict[str, Any]:
        return {"mark": self.mark, "accuracy": self.accuracy, "interval": list(self.interval), "measured_on": self.total}


def folded(first: Fingerprint, second: Fingerprint) -> float | None:
    """Norm gains of exactly 1 come from folding them into the matrices; no training ends there."""
    drifts = [_drift(model) for model in (first, second)]
    if None in drifts or (drifts[0] == 0) == (drifts[1] == 0):
        return None
    return 1.0 if drifts[1] == 0 else -1.0


def zeros(first: Fingerprint, second: Fingerprint) -> float | None:
    """Quantisation, pruning and padding leave weights of exactly 0."""
    shares = [_moment(model, 5, np.mean) for model in (first, second)]
    if shares[0] is None or shares[1] is None or abs(shares[1] - shares[0]) < NOTHING:
        return None
    return shares[1] - shares[0]


def gain_drift(first: Fingerprint, second: Fingerprint) -> float | None:
    """Norm gains begin at 1 and spread with training: the standard deviation of each, averaged."""
    return _log_ratio(_drift(first), _drift(second))


def growth(first: Fingerprint, second: Fingerprint) -> float | None:
    """Weights grow with training: the standard deviation of each matrix."""
    return _log_ratio(_moment(first, 1, _geometric), _moment(second, 1, _geometric))


def kurtosis(first: Fingerprint, second: Fingerprint) -> float | None:
    """Excess over the normal distribution's 3, averaged over matrices (MoTHer, section 4)."""
    values = [_moment(model, 3, np.mean) for model in (first, second)]
    if values[0] is None or values[1] is None or abs(values[1] - values[0]) < NOTHING:
        return None
    return values[1] - values[0]


MARKS: Mapping[str, Mark] = {"folded gains": folded, "zeros": zeros, "gain drift": gain_drift, "growth": growth}
"""In the order in which they are asked: surgery before training."""


def first_mark(first: Fingerprint, second: Fingerprint) -> tuple[str, bool] | None:
    """The first mark that speaks, and whether it calls the second model the descendant."""
    for name, mark in MARKS.items():
        value = mark(first, second)
        if value:
            return name, value > 0
    return None


def direction(first: Fingerprint, second: Fingerprint) -> Direction | None:
    """Which of two neighbours descends from the other; None where no mark speaks whose measured accuracy allows it."""
    mark = first_mark(first, second)
    if mark is None or mark[0] not in measured():
        return None
    right, total = measured()[mark[0]]
    return Direction(mark[1], mark[0], right, total) if wilson(right, total)[0] > LOWEST else None


def wilson(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927)."""
    if total == 0:
        return 0.0, 1.0
    share, square = right / total, z * z / total
    middle, half = share + square / 2, z * math.sqrt(share * (1 - share) / total + square / (4 * total))
    return max((middle - half) / (1 + square), 0.0), min((middle + half) / (1 + square), 1.0)


@cache
def measured(path: Path = FILE) -> Mapping[str, tuple[int, int]]:
    """Mark -> how often it was right, and how often it spoke; none if the file is absent or not readable."""
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            return {}
        counts = {name: (int(entry["right"]), int(entry["total"])) for name, entry in data["marks"].items()}
        return {name: (right, total) for name, (right, total) in counts.items() if 0 <= right <= total and total > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _drift(model: Fingerprint) -> float | None:
    spreads = [np.nanmean(np.nanstd(np.asarray(v, np.float64), axis=-1)) for k, v in model.traits.items() if _gain(k, v)]
    return float(np.mean(spreads)) if spreads else None


def _gain(name: str, values: np.ndarray) -> bool:
    return name.startswith("gains.") and bool(np.isfinite(values).any())


def _moment(model: Fingerprint, column: int, average: Callable[[list[float]], Any]) -> float | None:
    """One moment, averaged over the layers of a role, then over roles; embeddings left out."""
    outside = ("moments.embedding", "moments.head")
    traits = [v[:, column] for k, v in model.traits.items() if k.startswith("moments.") and k not in outside]
    moments = [float(np.nanmean(values.astype(np.float64))) for values in traits if np.isfinite(values).any()]
    return float(average(moments)) if moments else None


def _geometric(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(np.maximum(values, 1e-30)))))


def _log_ratio(first: float | None, second: float | None) -> float | None:
    if first is None or second is None or first <= 0 or second <= 0:
        return None
    ratio = math.log(second / first)
    return ratio if abs(ratio) > NOTHING else None
