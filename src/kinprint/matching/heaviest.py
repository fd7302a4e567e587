"""The heaviest neurons of a layer: which they are, and what they read and write, from weights that are read once, in pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.folding import centred
from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints.folded import into_folded
from kinprint.fingerprints.kernels import products, widened
from kinprint.fingerprints.pieces import neuron_slabs, release
from kinprint.matching.device import product
from kinprint.matching.halves import Half, narrowed
from kinprint.matching.lines import lines
from kinprint.matching.rotation import lengths, unit


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
        halves = (narrowed(product(widened(part), basis)) for part in (self.reads, self.ups, self.downs))
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
    kept, heavy = _nothing(weights.hidden), np.empty(0)
    start = 0
    for expert in weights.experts(layer):
        matrices = Matrices.of(weights, layer, expert)
        mass = matrices.masses()
        usable = np.isfinite(mass) & (mass > 0)
        chosen = np.argsort(-np.where(usable, mass, -1.0), kind="stable")[: min(most, int(usable.sum()))]
        found = matrices.vectors(start, chosen[:held])
        heavy = np.concatenate([heavy, mass[found.index - start]])
        order = np.argsort(-heavy, kind="stable")[:held]
        kept, heavy = (kept + found).taken(order), heavy[order]
        places, masses = np.concatenate([places, start + chosen]), np.concatenate([masses, mass[chosen]])
        order = np.argsort(-masses, kind="stable")[:most]
        places, masses = places[order], masses[order]
        start += len(mass)
    return places, kept


def vectors(weights: Weights, layer: int, places: Int64s) -> Vectors:
    """What the neurons at some places of a layer read and write, in that order.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    found, rows, start = _nothing(weights.hidden), [np.empty(0, np.int64)], 0
    for expert in weights.experts(layer):
        part = weights.parts[layer, "up", expert]
        count = part.shape[part.axes.index("neurons")]
        here = np.flatnonzero((places >= start) & (places < start + count))
        here = here[np.argsort(places[here])]
        if len(here):
            found += Matrices.of(weights, layer, expert).vectors(start, places[here] - start)
            rows.append(here)
        start += count
    return found.taken(np.argsort(np.concatenate(rows)))


@dataclass(frozen=True)
class Matrices:
    """What the neurons of a layer, or of one expert, read and write.

    Attributes:
        gate, up, down: (neurons, hidden) as stored; gate None if there is none.
        gain: (hidden,) float32 of the norm in front of gate and up; None if there is none.
        centre: whether the mean over channels is taken out.
    """

    gate: NDArray[np.generic] | None
    up: NDArray[np.generic]
    down: NDArray[np.generic]
    gain: Float32s | None
    centre: bool

    @classmethod
    def of(cls, weights: Weights, layer: int, expert: int | None) -> Matrices:
        gate, up, down = (weights.parts.get((layer, role, expert)) for role in ("gate", "up", "down"))
        if up is None or down is None:
            raise NotApplicable(f"layer {layer} of {weights.name} has no whole FFN")
        readers = [part.shape for part in (gate, up) if part is not None]
        if any(shape != down.shape[::-1] for shape in readers):
            raise NotApplicable(f"gate, up and down of layer {layer} of {weights.name} do not fit each other")
        read = None if gate is None else gate.read()
        return cls(read, up.read(), down.read().T, weights.gain(layer, "up"), centred(weights.facts))

    def masses(self) -> Float64s:
        """(neurons,) products of the norms of gate, up and down, in folded form."""
        squares = np.zeros((len(self.up), 3))
        gate = self.up if self.gate is None else self.gate
        for here, (gates, ups, downs) in neuron_slabs(gate, self.up, self.down.T):
            squares[here] = products(gates, ups, downs, self.gain, centre=self.centre)[:, :3]
        factors = squares if self.gate is not None else squares[:, 1:]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is left out by its norm
            return np.asarray(np.sqrt(np.prod(np.maximum(factors, 0), axis=1)))

    def vectors(self, start: int, chosen: Int64s) -> Vectors:
        """Of some neurons, in ascending order; the first of all has the place `start`."""
        chosen = np.sort(chosen)
        up, down = self._rows(self.up, chosen, self.gain), self._rows(self.down, chosen, None)
        gate = None if self.gate is None else self._rows(self.gate, chosen, self.gain)
        self._release()
        ones = np.ones(len(chosen), np.float32)
        sizes = [ones if rows is None else lengths(rows) for rows in (gate, up, down)]
        up, down = unit(up), unit(down)
        reads = up if gate is None else unit(gate)
        signed = [np.einsum("nd,nd->n", reads, rows) if gate is not None else 0 * ones for rows in (up, down)]
        return Vectors(start + chosen, np.stack(sizes, axis=1), np.stack(signed, axis=1), *map(narrowed, (reads, up, down)))

    def _rows(self, stored: NDArray[np.generic], chosen: Int64s, gain: Float32s | None) -> Float32s:
        rows = lines(stored, chosen)
        into_folded(rows, gain, centre=self.centre)
        return rows

    def _release(self) -> None:
        for part in (self.gate, self.up, self.down):
            if part is not None:
                release(part)


def _nothing(hidden: int) -> Vectors:
    none = np.empty((0, hidden), np.float16)
    return Vectors(np.empty(0, np.int64), np.empty((0, 3), np.float32), np.empty((0, 2), np.float32), none, none, none)
