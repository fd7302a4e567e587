"""How models were combined: what each kind of merge predicts of the entries, and which prediction holds.

| kind | prediction, entry by entry |
|---|---|
| linear | sum_i c_i x_i, the same c everywhere, between 0 and 1, sum 1 |
| task-arithmetic | the same, with coefficients outside of 0 to 1: a base and multiples of differences from it |
| slerp | a x_1 + b x_2; a + b = cos((1/2 - t) w) / cos(w / 2) exceeds 1 by what the angle w of the two tensors says |
| varying | sum_i c_i x_i with coefficients of each tensor's own, sum 1 |
| ties | base + the weighted mean of those differences that were not trimmed and have the elected sign (arXiv 2306.01708) |

Sums of differences with dropped entries are `sparse_sums`. A more detailed account replaces a plainer one only if it leaves
less than half the remainder, significantly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.library.merges.account import Account
from kinprint.library.merges.combination import Data, Fit, clusters, inverse_variance, roundings
from kinprint.library.merges.sparse_sums import sparse_sum
from kinprint.statistics import bonferroni
from kinprint.statistics.half_remainder import HALF, half_test

PARALLEL = 0.9995
"""Cosine from which slerp is a straight line, in every implementation."""

TIES_ROUNDS = 10
TIES_MOST = 3
"""Most models of one TIES merge: each doubles the number of patterns."""

COPIED = 0.01
"""TIES is considered with models from which more than this share of the entries is copied."""

CHOSEN = ("ties", "dare", "breadcrumbs", "sparse")
"""Kinds in which every entry is the nearest of several predictions."""

MANY = 48
"""Accounts of one suspect, at most: what p-values are corrected for."""

EXACT = 4.0
"""Mean square of a remainder, in roundings, up to which it counts as rounding: a few steps of arithmetic in that type."""


def constant(combination: Fit) -> Account:
    """A combination with the same coefficients everywhere."""
    chosen, coefficients, errors = combination.chosen, combination.coefficients, combination.errors
    kind = "single" if len(chosen) == 1 else "task-arithmetic" if (coefficients < -3 * errors).any() else "linear"
    return Account(kind, chosen, coefficients, errors, combination.remainder)


def by_tensor(data: Data, chosen: Sequence[int], *, affine: bool) -> tuple[Float64s, Float64s, Float64s]:
    """Coefficients of each tensor's own.

    Returns:
        coefficients and errors (tensors, chosen), NaN where a tensor has too few entries; remainder (columns,).
    """
    count = len(data.places.names)
    coefficients, errors = np.full((count, len(chosen)), np.nan), np.full((count, len(chosen)), np.nan)
    remainder, kept = np.full(len(data.y), np.nan), data.usable(chosen)
    turn = np.vstack([-np.ones(len(chosen) - 1), np.eye(len(chosen) - 1)]) if affine else np.eye(len(chosen))
    origin = data.x[chosen[0]] if affine else np.zeros(len(data.y))
    for number in range(count):
        columns = np.flatnonzero(kept & (data.places.tensor == number))
        if len(columns) < 4 * len(chosen):
            remainder[columns] = data.y[columns] - data.x[chosen[0], columns]
            continue
        x = ((data.x[list(chosen)][:, columns] - origin[columns])[1:] if affine else data.x[list(chosen)][:, columns]).T
        y = data.y[columns] - origin[columns]
        slopes = np.linalg.lstsq(x, y, rcond=None)[0]
        remainder[columns] = y - x @ slopes
        bread = np.linalg.pinv(x.T @ x)
        square = max(
            float(np.sum(remainder[columns] ** 2)) / (len(columns) - x.shape[1]), float(np.mean(data.rounding[columns]))
        )
        coefficients[number] = turn @ slopes + (np.eye(len(chosen))[0] if affine else 0)
        errors[number] = np.sqrt(np.maximum(np.diag(turn @ bread @ turn.T) * square, 0))
    return coefficients, errors, remainder


def varying(data: Data, chosen: Sequence[int]) -> Account:
    """Coefficients of each tensor's own, sum 1; what is stated of the whole is their mean."""
    coefficients, errors, remainder = by_tensor(data, chosen, affine=True)
    mean, error = np.nanmean(coefficients, axis=0), np.nanstd(coefficients, axis=0) / math.sqrt(len(coefficients))
    return Account("varying", tuple(chosen), mean, error, remainder, tensors=(coefficients, errors))


def slerp(data: Data, chosen: Sequence[int]) -> Account:
    """Two models, on the arc between them in every tensor.

    `details`: `t`, the second model's share of the arc; `arc`, by how much the sums of the coefficients exceed 1 as a
    multiple of what the angles say (1 for slerp, 0 for straight lines).
    """
    coefficients, errors, remainder = by_tensor(data, chosen, affine=False)
    total = coefficients.sum(axis=1)
    shares, precision = coefficients[:, 1] / total, 1 / np.maximum(errors.max(axis=1), 1e-12) ** 2
    known = np.isfinite(shares)
    t = float(np.sum((shares * precision)[known]) / np.sum(precision[known])) if known.any() else math.nan
    predicted = excess(data, chosen, t)
    both = known & np.isfinite(predicted)
    weights = precision[both]
    curved = float(np.sum(weights * predicted[both] ** 2))
    arc = float(np.sum(weights * predicted[both] * (total[both] - 1))) / curved if curved > 0 else math.nan
    spread = math.sqrt(
        float(np.sum((precision * (shares - t) ** 2)[known]) / np.sum(precision[known]) / max(known.sum() - 1, 1))
    )
    details = {"t": t, "arc": arc}
    return Account(
        "slerp",
        tuple(chosen),
        np.array([1 - t, t]),
        np.full(2, spread),
        remainder,
        details=details,
        tensors=(coefficients, errors),
    )


def excess(data: Data, chosen: Sequence[int], t: float) -> Float64s:
    """(tensors,) what slerp's two coefficients add up to beyond 1, by the angle of the two tensors' samples."""
    kept = data.usable(chosen)
    count, tensor = len(data.places.names), data.places.tensor[kept]
    first, second = data.x[chosen[0], kept], data.x[chosen[1], kept]
    products = [np.bincount(tensor, a * b, minlength=count) for a, b in ((first, second), (first, first), (second, second))]
    sizes = np.sqrt(products[1] * products[2])
    cosine = np.divide(products[0], sizes, out=np.full(count, np.nan), where=sizes > 0)
    angle = np.arccos(np.clip(cosine, -1, 1))
    return np.asarray(np.where(cosine > PARALLEL, 0.0, np.cos((0.5 - t) * angle) / np.cos(angle / 2) - 1))


def ties(data: Data, base: int, chosen: Sequence[int]) -> Account:
    """Trimmed differences from the base, of each entry the mean of those with the elected sign.

    Every entry takes the subset of differences, all of one sign, whose weighted mean comes nearest; the weights are those that
    bring the means of several nearest to what is there.
    """
    kept = np.flatnonzero(data.usable([base, *chosen]))
    origin = data.x[base, kept]
    deltas, change = data.x[list(chosen)][:, kept] - origin, data.y[kept] - origin
    subsets = np.array(list(product([False, True], repeat=len(chosen))))
    weights, taken = np.full(len(chosen), 1 / len(chosen)), np.zeros(len(kept), int)
    for _ in range(TIES_ROUNDS):
        means = _means(deltas, subsets, weights)
        before, taken = taken, np.argmin(np.abs(means - change), axis=0)
        weights = _weights(deltas, change, subsets[taken].T, weights)
        if np.array_equal(before, taken):
            break
    means = _means(deltas, subsets, weights)
    remainder = np.full(len(data.y), np.nan)
    remainder[kept] = change - means[taken, np.arange(len(kept))]
    several = subsets[taken].sum(axis=1) > 1
    error = (
        math.sqrt(float(np.mean(remainder[kept][several] ** 2) / max(np.sum(deltas[:, several] ** 2), 1e-300)))
        if several.any()
        else math.nan
    )
    details = {"density": _density(deltas, subsets[taken].T)}
    return Account("ties", tuple(chosen), weights, np.full(len(chosen), error * math.sqrt(len(kept))), remainder, base, details)


def _means(deltas: Float64s, subsets: NDArray[np.bool_], weights: Float64s) -> Float64s:
    """(subsets, columns) weighted means of the differences in each subset; infinite where their signs differ."""
    means = np.full((len(subsets), deltas.shape[1]), np.inf)
    for row, subset in enumerate(subsets):
        if not subset.any():
            means[row] = 0
            continue
        inside = deltas[subset]
        agree = (np.sign(inside) == np.sign(inside[0])).all(axis=0) & (inside[0] != 0)
        means[row, agree] = (weights[subset] @ inside[:, agree]) / weights[subset].sum()
    return means


def _weights(deltas: Float64s, change: Float64s, taken: NDArray[np.bool_], before: Float64s) -> Float64s:
    """The weights w, sum 1, for which sum_i w_i (delta_i - change), over what each entry takes, comes nearest to nothing."""
    several = taken.sum(axis=0) > 1
    if not several.any():
        return before
    terms = np.where(taken[:, several], deltas[:, several] - change[several], 0)
    smallest = np.linalg.eigh(terms @ terms.T)[1][:, 0]
    weights = smallest / smallest.sum() if smallest.sum() else before
    return np.asarray(weights if (weights > 0).all() else before)


def _density(deltas: Float64s, taken: NDArray[np.bool_]) -> float:
    """Share of the differences that was not trimmed: those larger than the smallest that was taken where it stood alone in
    sign.

    A difference of the elected sign is missing only if it was trimmed; so it is estimated where another of its sign was
    taken, or none of any.
    """
    sign = np.sign(deltas)
    elected = np.sign(np.sum(np.where(taken, deltas, 0), axis=0))
    decided = (sign == elected) | (elected == 0)
    return float(np.sum(taken & decided) / max(np.sum(decided), 1))


def copied(data: Data, among: Sequence[int]) -> list[int]:
    """The models from which many entries are copied unchanged: at most TIES_MOST and a base.

    Where TIES elects one difference, the entry is that model's own; where it elects none, the base's. Each model counts by the
    entries that none before it has: copies of the base in another type, and adapters, have most of the base's. Entries in which
    the models do not differ say nothing. The base's are in most tensors, and more than numbers next to them: noise makes an
    entry a model's own by chance, as often as its neighbour.
    """
    rows = data.x[list(among)]
    differing = np.isfinite(data.y) & (np.nanmax(rows, axis=0) - np.nanmin(rows, axis=0) > data.spacing)
    own = (np.abs(data.y - rows) <= data.spacing / 2)[:, differing]
    chosen: list[int] = []
    while differing.any() and len(chosen) <= TIES_MOST:
        shares = own.mean(axis=1)
        best = int(np.argmax(shares))
        if shares[best] <= COPIED or (not chosen and not _in_most(data, among[best], differing)):
            break
        chosen.append(among[best])
        own = own & ~own[best]
    return chosen


def _in_most(data: Data, row: int, differing: NDArray[np.bool_]) -> bool:
    """Whether half of the tensors have more entries of a model than of its neighbours on either side."""
    tensor, off = data.places.tensor[differing], np.abs(data.y - data.x[row])[differing] / data.spacing[differing]
    surplus = (off <= 0.5) - 0.5 * ((off > 0.5) & (off <= 1.5))
    counts = np.bincount(tensor)
    return bool(np.median((np.bincount(tensor, surplus) / np.maximum(counts, 1))[counts > 0]) > COPIED)


def accounts(data: Data, kept: Fit, forward: Fit, among: Sequence[int]) -> Iterator[Account]:
    """Accounts of the suspect beside the constant one, by the models that a selection came by or among some, the plainest
    first."""
    sets = {tuple(sorted(kept.chosen)): kept.chosen} if len(kept.chosen) > 1 else {}
    first = forward.chosen[:4]
    for size in (2, 3):
        for some in combinations(first, size):
            sets.setdefault(tuple(sorted(some)), some)
    for some in sets.values():
        yield varying(data, some)
        if len(some) == 2:
            yield slerp(data, some)
    pool = copied(data, among)
    for some in _summed(pool[0], kept.chosen, first) if pool else ():
        summed = sparse_sum(data, pool[0], some)
        if summed is not None:
            yield summed
    for size in range(3, len(pool) + 1):
        for some in combinations(pool, size):
            for base in some:  # which of them it is, only the remainder tells: the nearest to all may be a part
                yield ties(data, base, [number for number in some if number != base])


def _summed(base: int, kept: Sequence[int], first: Sequence[int]) -> list[tuple[int, ...]]:
    """Sets of parts, without the base, that a sum with dropped entries is sought of: what remained of a selection, and what it
    began with."""
    others = [number for number in first if number != base]
    sets = [tuple(sorted(number for number in kept if number != base))]
    sets += [tuple(sorted(some)) for size in (1, 2, 3) for some in combinations(others, size)]
    return [some for some in dict.fromkeys(sets) if 0 < len(some) <= TIES_MOST]


def choose(data: Data, offered: Iterable[Account], alpha: float) -> Account:
    """The plainest account that no other beats.

    The search ends when only rounding is left. Before that, an account replaces the preferred one if it more than halves its
    remainder, and the remainder of every plainer account of the same models or fewer: a model comes in only if it halves the
    remainder itself.
    """
    offered = iter(offered)
    best = next(offered)
    seen = [best]
    limit = math.log10(alpha)
    for candidate in offered:
        if roundings(data, best.remainder) <= EXACT:
            break
        plainer = [account for account in seen if set(account.models) <= set(candidate.models)]
        if _honest(data, candidate) and all(
            bonferroni(halved(data, before, candidate), MANY) <= limit for before in [best, *plainer]
        ):
            best = candidate
        if candidate.kind not in CHOSEN or _honest(data, candidate):
            seen.append(candidate)
    return best


def halved(data: Data, before: Account, after: Account) -> float:
    """log10 p of the null hypothesis that the second account leaves at least half of what the first leaves."""
    kept = np.isfinite(before.remainder) & np.isfinite(after.remainder)
    old, new = before.remainder[kept], after.remainder[kept]
    weights = inverse_variance(old, data.places.tensor[kept], data.rounding[kept])
    price = _price(after, len(new)) / _price(before, len(new))
    return half_test(weights * (HALF * old**2 - price * new**2), clusters(data.places)[kept])


def _price(account: Account, entries: int) -> float:
    """Factor that makes up for choices: every fitted coefficient, and every choice of the nearest of several, shrinks a
    remainder.

    For n entries and k coefficients n / (n - k). For the nearest of m predictions m^2: m points spread over a range leave
    a remainder as much smaller, whatever the truth.
    """
    if account.kind in CHOSEN:
        return float(4 ** len(account.chosen))
    fitted = account.tensors[0].size if account.tensors is not None else len(account.chosen) - 1
    return entries / max(entries - fitted, 1)


def _honest(data: Data, account: Account) -> bool:
    """Whether the estimates fit the kind: slerp lies on an arc, TIES leaves little."""
    if account.kind == "slerp":
        return abs(account.details["arc"] - 1) < 0.25 and 0 < account.details["t"] < 1
    if account.kind in CHOSEN:
        return roundings(data, account.remainder) <= EXACT**2
    return True


def centre(data: Data, chosen: Sequence[int]) -> int:
    """The model nearest to all others: the origin of a star."""
    kept = data.usable(chosen)
    scale = inverse_variance(data.y[kept], data.places.tensor[kept], data.rounding[kept])
    entries = data.x[list(chosen)][:, kept] * np.sqrt(scale)
    distances = [float(np.sum((entries - model) ** 2)) for model in entries]
    return chosen[int(np.argmin(distances))]
