"""Neighbourhoods of labels, and the orders that units may have inside them by habit rather than by descent.

Labels can mean something in a model: neurons sorted by importance, heavy and light ones in turn, nested widths. Two strangers
with one such habit agree by label. What a habit does not fix is which of several *neighbouring* units bears which label. So
units are exchanged only inside small blocks of neighbours (`blocks`), and what is left of a slow or a periodic order inside
them is taken out of the reference's features (`orders`, `without`). The reference is the given side of every test, so that
this changes no p-value's validity: it only forgoes evidence that a habit could have made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kinprint.arrays import Float64s, Int64s
from kinprint.statistics.distributions import f_tail

BLOCK = 8
"""Most units of a block: 8! = 40 320 relabellings each, the exact sum over them in 2^8 steps."""

WINDOW = 2 * BLOCK
"""Neighbouring labels that give two blocks, the even and the odd ones."""

SHARE = 24
"""One direction in so many may be given up for orders that a model was not seen to have."""

SEEN = 2.0
"""Standard deviations by which an order must stand out in a model to be taken out of it beyond that share."""

TOLD = 0.02
"""p-value from which units count as sorted by one of their features."""

STEP_SEEN = 1.5
"""The same for the likeliest step of a window, of which one costs a fourteenth of the window's evidence."""

STEP_SURE = 3.0
"""From which the two places beside it are given up too: noise moves the likeliest step by one label."""

MOST_SEEN = 3
"""One direction in so many at most is given up for orders that were seen."""


@lru_cache(maxsize=64)
def blocks(count: int) -> Int64s:
    """(blocks, BLOCK or fewer) the labels 0 ... count-1 in blocks of neighbours, read-only; -1 pads the shorter blocks.

    From four windows on every block holds the labels of equal parity in a window of sixteen neighbours: alternation is then as
    harmless as a trend. Fewer labels are cut into runs of neighbours, of sizes that differ by one at most.
    """
    if count < 1:
        return np.zeros((0, 1), dtype=np.int64)
    if count < 4 * WINDOW:
        return _padded(np.array_split(np.arange(count), -(-count // BLOCK)))
    windows = np.array_split(np.arange(count), -(-count // WINDOW))
    return _padded([window[parity::2] for window in windows for parity in (0, 1)])


def _padded(parts: list[Int64s]) -> Int64s:
    """Rows of the longest part's length."""
    grid = np.full((len(parts), max(map(len, parts))), -1, dtype=np.int64)
    for row, part in zip(grid, parts, strict=True):
        row[: len(part)] = part
    grid.flags.writeable = False
    return grid


class Neighbours(NamedTuple):
    """Some labels in blocks of neighbours.

    Attributes:
        labels: (n,) which, ascending.
        grid: (blocks, size) indices into `labels`; -1 pads the shorter blocks.
        total: number of all labels, of which these are an even subset.
    """

    labels: Int64s
    grid: Int64s
    total: int

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, count: int, most: int) -> Neighbours:
        """The labels 0 ... count-1 in blocks of neighbours, and of more than `most` blocks an even subset."""
        every = blocks(count)
        chosen = every if len(every) <= most else every[np.linspace(0, len(every) - 1, most).astype(int)]
        labels = np.sort(chosen[chosen >= 0])
        grid = np.where(chosen >= 0, np.searchsorted(labels, np.maximum(chosen, 0)), -1)
        return cls(labels, grid, count)

    def present(self, there: NDArray[np.bool_]) -> Neighbours:
        """Those of them that are there, (labels,) each, in the same blocks."""
        if there.all():
            return self
        new = np.where(there, there.cumsum() - 1, -1)
        grid = np.where(self.grid >= 0, new[self.grid], -1)
        grid = np.take_along_axis(grid, np.argsort(grid < 0, axis=1, kind="stable"), axis=1)
        return Neighbours(self.labels[there], grid[(grid >= 0).any(axis=1)], self.total)

    @property
    def freedom(self) -> int:
        """Labels less blocks."""
        return len(self.labels) - len(self.grid)


def orders(neighbours: Neighbours) -> Float64s:
    """(labels, orders) what labels may mean inside blocks, orthonormal, the likelier ones first; each has mean zero in every
    block.

    Sorted units (their normal scores, and powers of the label), alternation, periods of four, three and eight; the first two
    with an amplitude that grows along the labels.
    """
    labels, grid, total = neighbours
    return _orders(labels.tobytes(), grid.tobytes(), grid.shape, total)


@lru_cache(maxsize=16)
def _orders(label_bytes: bytes, grid_bytes: bytes, shape: tuple[int, int], total: int) -> Float64s:
    """As `orders`, kept: pairs of models of one shape have the same neighbours."""
    labels, grid = np.frombuffer(label_bytes, np.int64), np.frombuffer(grid_bytes, np.int64).reshape(shape)
    along = 2 * labels / max(total - 1, 1) - 1
    turn = 2 * np.pi * labels
    parity, quarters = np.cos(turn / 2), (np.cos(turn / 4), np.sin(turn / 4))
    found = [ndtri((labels + 1) / (total + 1)), along, parity, *quarters, along**2, parity * along]
    found += [*(quarter * along for quarter in quarters), along**3, np.cos(turn / 3), np.sin(turn / 3)]
    found += [wave(turn * times / 8) for times in (1, 3) for wave in (np.cos, np.sin)]
    centred = _centred(np.stack(found, axis=1), grid)
    kept: list[Float64s] = []
    for vector in centred.T:
        size = float(np.linalg.norm(vector))
        for other in kept * 2:  # twice: Gram-Schmidt is exact enough then
            vector = vector - other * (other @ vector)
        if np.linalg.norm(vector) > 1e-6 * max(size, 1e-3):
            kept.append(vector / np.linalg.norm(vector))
    basis = np.stack(kept, axis=1) if kept else np.zeros((len(labels), 0))
    basis.flags.writeable = False
    return basis


def _centred(values: Float64s, grid: Int64s) -> Float64s:
    """(..., labels, n) less their mean in every block; zero for labels in no block."""
    block, sizes = _blocks_of(grid, values.shape[-2])
    means = np.zeros((*values.shape[:-2], len(grid) + 1, values.shape[-1]))  # the last one of labels in no block
    for members in grid.T:
        there = np.flatnonzero(members >= 0)
        if len(there) == len(members):
            means[..., :-1, :] += values[..., members, :]
        else:
            means[..., there, :] += values[..., members[there], :]
    means[..., :-1, :] /= sizes[:, None]
    found = values - means[..., block, :]
    if (block < 0).any():
        found[..., block < 0, :] = 0.0
    return np.asarray(found)


def _blocks_of(grid: Int64s, labels: int) -> tuple[Int64s, Int64s]:
    """(labels,) the block of each, -1 for one in none; (blocks,) their sizes."""
    known = grid >= 0
    block = np.full(labels, -1)
    block[grid[known]] = np.nonzero(known)[0]
    return block, known.sum(axis=1)


def without(features: Float64s, neighbours: Neighbours, *, seen: bool = True, plain: Float64s | None = None) -> Float64s:
    """Features less their mean in every block and less the orders of `orders`.

    The first of these go in any case, as many as are worth one direction in `SHARE`; the others, and steps inside a block,
    where the features have clearly more of them, over all layers, than chance gives.

    Args:
        features: (layers, labels, features); zeros where nothing is known.
        neighbours: these labels in blocks.
        seen: whether what stands out in the features is looked for and taken out.
        plain: the features before they were decorrelated, by which it is seen whether units are sorted.
    """
    centred = _centred(features, neighbours.grid)
    if seen:
        centred = _without_steps(centred, neighbours)
    basis = orders(neighbours)
    parts = basis.T @ centred
    energies = (parts**2).sum(axis=(0, 2))
    count = len(neighbours.labels)
    given_up = np.arange(len(energies)) < count // SHARE
    if seen:
        clear = energies > _by_chance(centred, neighbours.freedom)(SEEN)
        if len(clear) and told_by(
            features if plain is None else plain, ndtri((neighbours.labels + 1) / (neighbours.total + 1))
        ):
            clear[:2] = True  # normal scores, and the label
        given_up |= clear & (np.cumsum(clear) <= count // MOST_SEEN)
    return np.asarray(centred - basis[:, given_up] @ parts[:, given_up])


def told_by(features: Float64s, position: Float64s) -> bool:
    """Whether a combination of the features tells where units stand, as it does where they are sorted by one measure.

    The share of the position's variance that least squares explain by the leading directions of the features, one for eight
    units, against the F distribution of random labels.

    Args:
        features: (layers, labels, features).
        position: (labels,) any increasing function of the label.
    """
    layers, units, _ = features.shape
    known = layers * (units - 1)
    flat = (features - features.mean(axis=1, keepdims=True)).reshape(layers * units, -1)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    kept = np.argsort(-values)[: known // 8]
    kept = kept[values[kept] > 1e-9]
    if not len(kept):
        return False
    wanted = np.tile(position - position.mean(), layers)
    directions = flat @ (vectors[:, kept] / np.sqrt(values[kept]))
    explained = float(((directions.T @ wanted) ** 2).sum() / max(float(wanted @ wanted), 1e-300))
    ratio = explained / len(kept) / max((1 - explained) / (known - len(kept)), 1e-12)
    return bool(f_tail(ratio, len(kept), known - len(kept)) < TOLD)


def _without_steps(centred: Float64s, neighbours: Neighbours) -> Float64s:
    """Features less the likeliest step between the labels of each window, where all layers together have clearly more of it
    than by chance: blocks may straddle the place where heavy units end and light ones begin.

    What is centred in every block adds up to zero over whole blocks, so that running totals along the labels are the products
    with steps.
    """
    squares = _step_squares(neighbours.grid)
    inside = squares > 1e-9  # a step between two windows lies inside no block
    totals = centred.cumsum(axis=1)
    energies = np.where(inside, np.einsum("lnf,lnf->n", totals, totals) / np.maximum(squares, 1e-9), 0.0)
    window: Int64s = np.cumsum(~inside) - ~inside
    order = np.lexsort((-energies, window))
    best = order[np.unique(window[order], return_index=True)[1]]
    by_chance = _by_chance(centred, neighbours.freedom)
    sure = best[energies[best] > by_chance(STEP_SURE)]
    likely = best[energies[best] > by_chance(STEP_SEEN)]
    chosen = np.union1d(likely, [sure - 1, sure + 1]).astype(np.int64)
    chosen = chosen[(chosen >= 0) & (chosen < len(squares))]
    chosen = chosen[inside[chosen]]
    if not len(chosen):
        return centred
    steps = _orthonormal_steps(neighbours.grid, window, chosen)
    return np.asarray(centred - steps @ (steps.T @ centred))


def _orthonormal_steps(grid: Int64s, window: Int64s, chosen: Int64s) -> Float64s:
    """(labels, steps) an orthonormal basis of some steps centred in every block. Those of different windows are orthogonal, so
    that only those of each window are made so.

    Args:
        window: (labels,) ascending.
        chosen: labels behind which there is a step, ascending; one at least.
    """
    which, first = np.unique(window[chosen], return_index=True)
    place = np.arange(len(chosen)) - np.repeat(first, np.diff([*first, len(chosen)]))
    steps = np.full((len(which) + 1, int(place.max()) + 1), -1)  # of each window, the last one of windows without any
    steps[np.searchsorted(which, window[chosen]), place] = chosen
    near = np.minimum(np.searchsorted(which, window), len(which) - 1)
    row = np.where(which[near] == window, near, len(which))

    block, sizes = _blocks_of(grid, len(window))
    own = steps[row[grid[:, 0]]]  # of each block
    before = ((grid[:, :, None] <= own[:, None]) & (grid >= 0)[:, :, None]).sum(axis=1) / sizes[:, None]
    indicators = np.where(block[:, None] >= 0, (np.arange(len(window))[:, None] <= steps[row]) - before[block], 0.0)

    products = np.zeros((len(steps), *[steps.shape[1]] * 2))
    np.add.at(products, row, indicators[:, :, None] * indicators[:, None])
    values, vectors = np.linalg.eigh(products)
    kept = values > 1e-9
    scaled = vectors / np.sqrt(np.where(kept, values, np.inf))[:, None]
    own_basis = np.einsum("nr,nrs->ns", indicators, scaled[row])
    column = np.cumsum(kept).reshape(kept.shape) - 1
    label, number = np.nonzero(kept[row])
    basis = np.zeros((len(window), int(kept.sum())))
    basis[label, column[row[label], number]] = own_basis[label, number]
    return basis


def _step_squares(grid: Int64s) -> Float64s:
    """(labels,) squared length of the step behind each label, centred in every block: k (n - k) / n of a block of n units that
    has k of them up to the label, added up over blocks."""
    known = grid >= 0
    sizes = known.sum(axis=1, keepdims=True)
    upto = np.arange(1, grid.shape[1] + 1)
    grown = upto * (sizes - upto) / sizes - (upto - 1) * (sizes - upto + 1) / sizes
    changes = np.zeros(int(known.sum()))
    changes[grid[known]] = grown[known]
    return np.asarray(changes.cumsum())


def _by_chance(centred: Float64s, freedom: int) -> Callable[[float], float]:
    """What the energy of one direction among labels, over all layers and features, reaches by chance and so many deviations.

    The energy of a random direction in a layer has the trace of its covariance of features as mean, and twice the trace of the
    square as variance.
    """
    inner = centred.swapaxes(1, 2) @ centred / max(freedom, 1)
    mean, spread = np.trace(inner, axis1=1, axis2=2).sum(), np.sqrt(2 * (inner**2).sum())
    return lambda deviations: float(mean + deviations * spread)
