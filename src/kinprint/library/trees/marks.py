"""Marks that training and surgery leave: of a parent and its child, which is which?

A mark presumes that one of the two descends from the other, and says nothing where that is open: between sisters it only tells
which was trained or changed more. So no arrow rests on one (`kinprint.library.descent`); `merged` asks them where it is known
already that one of two models was the other's base. Horwitz et al., *Unsupervised Model Tree Heritage Recovery* (MoTHer, 2024),
take the kurtosis of weights; it is measured beside these in benchmarks/tree.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from kinprint.comparison.one_sided import NOTHING, gain_spread, moment, zero_share
from kinprint.fingerprints import Fingerprint

Mark = Callable[[Fingerprint, Fingerprint], float | None]
"""Positive if the second model looks like the descendant, negative if the first does, None or 0 if it does not say."""


def folded(first: Fingerprint, second: Fingerprint) -> float | None:
    """Norm gains of exactly 1 come from folding them into the matrices; no training ends there."""
    drifts = [gain_spread(model) for model in (first, second)]
    if None in drifts or (drifts[0] == 0) == (drifts[1] == 0):
        return None
    return 1.0 if drifts[1] == 0 else -1.0


def zeros(first: Fingerprint, second: Fingerprint) -> float | None:
    """Quantisation, pruning and padding leave weights of exactly 0."""
    shares = [zero_share(model) for model in (first, second)]
    if shares[0] is None or shares[1] is None or abs(shares[1] - shares[0]) < NOTHING:
        return None
    return shares[1] - shares[0]


def gain_drift(first: Fingerprint, second: Fingerprint) -> float | None:
    """Norm gains begin at 1 and spread with training: the standard deviation of each, averaged."""
    return _log_ratio(gain_spread(first), gain_spread(second))


def growth(first: Fingerprint, second: Fingerprint) -> float | None:
    """Weights grow with training: the standard deviation of each matrix."""
    return _log_ratio(moment(first, 1, _geometric), moment(second, 1, _geometric))


def kurtosis(first: Fingerprint, second: Fingerprint) -> float | None:
    """Excess over the normal distribution's 3, averaged over matrices (MoTHer, section 4)."""
    values = [moment(model, 3, np.mean) for model in (first, second)]
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


def _geometric(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(np.maximum(values, 1e-30)))))


def _log_ratio(first: float | None, second: float | None) -> float | None:
    if first is None or second is None or first <= 0 or second <= 0:
        return None
    ratio = math.log(second / first)
    return ratio if abs(ratio) > NOTHING else None
