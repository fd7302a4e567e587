"""The heaviest neurons of a layer: which they are, and what they read and write, from weights that are read once, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.folding import centred, folded
from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Int64s
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.pieces import pieces, release
from kinprint.matching.rotation import unit

Half = NDArray[np.float16]

ROLES = ("gate", "up", "down")


@dataclass(frozen=True)
class Vectors:
    """What some neurons of a layer read and write, those of all experts together.

    Attributes:
        index: (n,) int64 place of each neuron in the layer: expert times neurons an expert, plus neuron.
        sizes: (n, 3) float32 norms of the gate row (1 if there is none), the up row and the down column, in folded form.
        products: (n, 2) float32 cosines of gate and up and of gate and down, which change sign with their neuron; zeros
            without a gate.
        reads: (n, hidden) float16 unit vectors: the gate row, the up row if there is no gate.
        ups, downs: (n, hidden) float16 unit vectors.
    """

    index: Int64s
    sizes: Float32s
    products: Float32s
    reads: Half
    ups: Half
    downs: Half

    def taken(self, chosen: NDArray[np.integer]) -> Vectors:
        parts = (self.index, self.sizes, self.products, self.reads, self.ups, self.downs)
        return Vectors(*(part[chosen] for part in parts))

    def within(self, basis: Float32s) -> Vectors:
        """The vectors in a basis (hidden, directions)."""
        halves = ((part.astype(np.float32) @ basis).astype(np.float16) for part in (self.reads, self.ups, self.downs))
        return Vectors(self.index, self.sizes, self.products, *halves)

    def __add__(self, other: Vectors) -> Vectors:
        sides = ((v.index, v.sizes, v.products, v.reads, v.ups, v.downs) for v in (self, other))
        return Vectors(*(np.concatenate(pair) for pair in zip(*sides, strict=True)))


def heaviest(weights: Weights, layer: int, most: int, held: int) -> tuple[Int64s, Vectors]:
    """The neurons of a layer with the largest product of norms, which is the same in every disguise: gains are folded, and
    scaling moves norm from up to down.

    In memory at any time: a piece of a matrix, and the vectors of twice `held` neurons. Neurons whose weights are zero or not
    finite are left out.

    Args:
        most: of how many the places are given.
        held: of how many the vectors are given.

    Returns:
        (at most `most`,) int64 places, the heaviest first; the vectors of the first of these.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    places, masses = np.empty(0, np.int64), np.empty(0)
    kept = _nothing(weights.hidden)
    for start, matrices in _experts(weights, layer):
        mass = np.prod([matrix.norms() for matrix in matrices.values()], axis=0)
        usable = np.isfinite(mass) & (mass > 0)
        chosen = np.argsort(-np.where(usable, mass, -1.0), kind="stable")[: min(most, int(usable.sum()))]
        kept += _vectors(matrices, start, chosen[:held])
        some = np.argsort(-np.concatenate([masses[:held], mass[chosen[:held]]]), kind="stable")[:held]
        kept = kept.taken(some)
        places, masses = np.concatenate([places, start + chosen]), np.concatenate([masses, mass[chosen]])
        order = np.argsort(-masses, kind="stable")[:most]
        places, masses = places[order], masses[order]
    return places, kept


def vectors(weights: Weights, layer: int, places: Int64s) -> Vectors:
    """What the neurons at some places of a layer read and write, in that order.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    found, rows = _nothing(weights.hidden), [np.empty(0, np.int64)]
    for start, matrices in _experts(weights, layer):
        here = np.flatnonzero((places >= start) & (places < start + len(matrices["up"])))
        if len(here):
            found += _vectors(matrices, start, places[here] - start)
            rows.append(here)
    return found.taken(np.argsort(np.concatenate(rows)))


class Rows:
    """(neurons, hidden) what the neurons of a layer, or of one expert, read or write, in folded form; widened when asked for."""

    def __init__(self, weights: Weights, layer: int, role: str, expert: int | None) -> None:
        stored = weights.parts[layer, role, expert].read()
        self._rows = stored.T if role == "down" else stored
        self._gain, self._centre = weights.gain(layer, role), centred(weights.facts)

    def __len__(self) -> int:
        return len(self._rows)

    def norms(self) -> NDArray[np.float64]:
        """(neurons,) float64 norms."""
        squares = (np.einsum("nd,nd->n", rows, rows) for rows in map(self._folded, pieces(self._rows)))
        return np.sqrt(np.concatenate([np.empty(0), *squares]), dtype=np.float64)

    def taken(self, chosen: Int64s) -> Float32s:
        """(chosen, hidden) float32."""
        rows = self._folded(self._rows[chosen])
        release(self._rows)
        return rows

    def _folded(self, rows: NDArray[np.generic]) -> Float32s:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is left out by its norm
            return np.asarray(folded(widened(rows), self._gain, centre=self._centre))


def _experts(weights: Weights, layer: int) -> Iterator[tuple[int, dict[str, Rows]]]:
    """Of each expert, or of the layer, the place of its first neuron and its matrices by role."""
    start = 0
    for expert in weights.experts(layer):
        matrices = {role: Rows(weights, layer, role, expert) for role in ROLES if (layer, role, expert) in weights.parts}
        yield start, matrices
        start += len(matrices["up"])


def _nothing(hidden: int) -> Vectors:
    none = np.empty((0, hidden), np.float16)
    return Vectors(np.empty(0, np.int64), np.empty((0, 3), np.float32), np.empty((0, 2), np.float32), none, none, none)


def _vectors(matrices: dict[str, Rows], start: int, chosen: Int64s) -> Vectors:
    """Of some neurons of one expert, whose first neuron has the place `start`."""
    rows = {role: matrix.taken(chosen) for role, matrix in matrices.items()}
    sizes = np.stack([np.linalg.norm(rows[r], axis=1) if r in rows else np.ones(len(chosen)) for r in ROLES], axis=1)
    units = {role: unit(part) for role, part in rows.items()}
    products = np.zeros((len(chosen), 2), np.float32)
    if "gate" in units:
        products = np.stack([np.einsum("nd,nd->n", units["gate"], units[role]) for role in ("up", "down")], axis=1)
    reads = units["gate"] if "gate" in units else units["up"]
    halves = (part.astype(np.float16) for part in (reads, units["up"], units["down"]))
    return Vectors(start + chosen, sizes.astype(np.float32), products, *halves)
