"""Do two models write alike? The maximum mean discrepancy of their texts, prompt by prompt.

Null hypothesis: to each prompt both models give texts from one distribution, each text drawn independently. Given the texts,
all ways to say which of them came from which model are then equally likely, prompt by prompt.

Statistic: the sum over prompts of the unbiased MMD^2 with a Hamming kernel: k(a, b) is the share of positions, of the longest
text of the prompt, at which two texts have the same character; where both have ended counts as the same. A prompt has so few
texts that all divisions of them are listed, and the moment generating function of the sum is exact.

Source: Gao, Liang, Guestrin, Model Equality Testing: which model is this API serving?, ICLR 2025, sections 3 and 4.2. There
p-values come from plain permutations alone; here they go on where those end (`tails`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp

from kinprint.arrays import Array, Float64s
from kinprint.statistics import tails
from kinprint.statistics.relabelling import SEED

MOST = 10
"""Texts of either model that are looked at together; more of a prompt are further prompts."""


@dataclass(frozen=True)
class Equality:
    """What `equality_test` found.

    Attributes:
        discrepancy: mean over prompts of the unbiased MMD^2; around 0 under the null hypothesis.
        prompts: how many groups of texts were compared.
        log10_p: one-sided p-value.
        bound: True if it is a rigorous upper bound, False if it is a Monte Carlo p-value.
    """

    discrepancy: float
    prompts: int
    log10_p: float
    bound: bool


def equality_test(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> Equality:
    """Compare texts of two models.

    Args:
        ours, theirs: for each prompt, in one order, the texts of either model. What is compared are groups of at most MOST
            and MOST; a group with fewer than two texts of either says nothing and is left out.
    """
    tables = []
    for one, other in zip(ours, theirs, strict=True):
        for start in range(0, min(len(one), len(other)), MOST):
            first, second = one[start : start + MOST], other[start : start + MOST]
            if len(first) > 1 and len(second) > 1:
                tables.append(_discrepancies(hamming([*first, *second]), len(first)))
    if not tables:
        return Equality(math.nan, 0, 0.0, bound=False)
    observed = sum(float(table[0]) for table in tables)
    least = observed - 1e-9 * sum(float(np.abs(table).max()) for table in tables)
    rng = np.random.default_rng(SEED)
    exceeding = int(np.sum(sum(_drawn(table, 0.0, tails.DRAWS, rng) for table in tables) >= least))

    def log_weights() -> tuple[float, Float64s]:
        thetas = [_tilt(tables, rate) for rate in tails.RATES]
        drawn = [sum(_drawn(table, t, n, rng) for table in tables) for t, n in zip(thetas, tails.shares(SEED), strict=True)]
        every = np.concatenate([[observed], *drawn])
        ratios = np.array([t * every - _log_moment(tables, t) for t in thetas])
        weights = -(np.logaddexp.reduce(ratios, axis=0) - math.log(len(thetas)))
        return float(weights[0]), np.where(every >= least, weights, -np.inf)[1:]

    tail = tails.p_value(exceeding, lambda: _log_bound(tables, least) / math.log(10), log_weights)
    return Equality(observed / len(tables), len(tables), tail.log10_p, tail.bound)


def hamming(texts: Sequence[str]) -> Float64s:
    """(texts, texts) share of positions at which two texts have the same character; all 1 where all texts are empty."""
    length = max(map(len, texts), default=0)
    if not length:
        return np.ones((len(texts), len(texts)))
    codes = np.zeros((len(texts), length), dtype=np.int64)
    for row, text in enumerate(texts):
        codes[row, : len(text)] = [ord(character) + 1 for character in text]
    return np.asarray((codes[:, None] == codes[None]).mean(axis=2))


@cache
def _divisions(total: int, first: int) -> Array:
    """(divisions, total) 1 for the texts that are said to be the first model's, the true division in front."""
    chosen = np.array(list(itertools.combinations(range(total), first)))
    rows = np.zeros((len(chosen), total), dtype=np.float32)
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows


def _discrepancies(kernel: Float64s, first: int) -> Float64s:
    """(divisions,) unbiased MMD^2 of every division of the texts, the true one in front."""
    total = len(kernel)
    second = total - first
    between = (kernel - np.diag(np.diag(kernel))).astype(np.float32)
    x = _divisions(total, first)
    inside = np.einsum("ij,ij->i", x @ between, x, dtype=np.float64)
    touched = (x @ between.sum(1)).astype(np.float64)
    rest = float(between.sum(dtype=np.float64)) - 2 * touched + inside
    return np.asarray(
        inside / (first * (first - 1)) + rest / (second * (second - 1)) - 2 * (touched - inside) / (first * second)
    )


def _drawn(table: Float64s, t: float, draws: int, rng: np.random.Generator) -> Float64s:
    """(draws,) entries of a table, each as likely as exp(t entry)."""
    if t == 0:
        return table[rng.integers(len(table), size=draws)]
    weights = np.exp(t * (table - table.max()))
    return np.asarray(rng.choice(table, size=draws, p=weights / weights.sum()))


def _log_moment(tables: Sequence[Float64s], t: float) -> float:
    """log E[exp(t sum)] over all divisions."""
    return float(sum(float(logsumexp(t * table)) - math.log(len(table)) for table in tables))


def _mean(tables: Sequence[Float64s], t: float) -> float:
    """Expected sum where divisions are as likely as exp(t entry)."""
    total = 0.0
    for table in tables:
        weights = np.exp(t * (table - table.max()))
        total += float(weights @ table / weights.sum())
    return total


def _spread(tables: Sequence[Float64s]) -> float:
    """Standard deviation of the sum under the null hypothesis."""
    return math.sqrt(sum(float(table.var()) for table in tables)) or 1.0


def _tilt(tables: Sequence[Float64s], rate: float) -> float:
    """The t at whose tilted mean Chernoff's bound is 10^-rate, or a large one where no sum is so unlikely."""

    def reached(t: float) -> float:
        return t * _mean(tables, t) - _log_moment(tables, t) - rate * math.log(10)

    high = 40 / _spread(tables)
    return float(brentq(reached, 0.0, high, xtol=high * 1e-3)) if reached(high) > 0 else high


def _log_bound(tables: Sequence[Float64s], least: float) -> float:
    """min over t of log E[exp(t sum)] - t least, an upper bound of log P(sum >= least) for any t."""
    if least <= 0:
        return 0.0
    unit = 1 / _spread(tables)
    lowest = minimize_scalar(
        lambda log_t: _log_moment(tables, unit * math.exp(log_t)) - unit * math.exp(log_t) * least,
        bounds=(-3, 7),
        method="bounded",
        options={"xatol": 0.02},
    )
    return min(float(lowest.fun), 0.0)
