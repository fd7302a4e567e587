"""The neurons of a model that are compared: the heaviest of every layer, in folded form, in some directions of the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, qr

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Float64s, Int64s
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.parallel import each
from kinprint.matching.descriptors import describe, forms, head_grams, neuron_grams
from kinprint.matching.device import product
from kinprint.matching.halves import Half, narrowed
from kinprint.matching.heaviest import Vectors, heaviest, vectors
from kinprint.matching.layers import evenly
from kinprint.matching.rotation import inverse_root, unit

MOST = 2048
"""Neurons of a layer that are tested: enough for a test, few enough for their cosines and kernels to fit memory."""

DESCRIBED = 512
"""Of these, the heaviest, which carry descriptors and find the first matches."""

DIRECTIONS = 512
"""Directions of the residual stream that are looked at. In wider models a rotation of all would take minutes to find and tell
no more: five hundred directions tell neurons apart by twenty standard deviations."""

SPREAD = 12
"""Layers, evenly chosen, whose neurons say which directions and which forms a model has."""

WITH_HEADS = 4
"""Of these, layers whose heads add to the forms."""

STEPS = 2
"""Times the directions are turned towards those of the largest variance."""

TILE = 256
"""Units compared at a time with all before them."""

COPY = 0.7
"""Cosine of what two neurons read, whitened, from which one counts as a copy of the other: split neurons, experts that were
one FFN, layers that were one. Leaving out some that are none costs little."""

COPIED = 0.1
"""Share of a layer's neurons with a copy in another layer from which it counts as a copy of that layer."""


@dataclass(frozen=True)
class Layer:
    """Neurons of one layer, those of all experts together: the heaviest first, copies of heavier ones last.

    Attributes:
        layer: its index in the model.
        heaviest: (at most MOST,) int64 place of each neuron that can be tested: expert times neurons an expert, plus neuron.
        index: (n,) int64 places of those that are held: DESCRIBED of the heaviest at most, or all, in another order.
        plain: (n, directions) float16 the gate row (the up row if there is no gate), of unit length before it was put into the
            basis.
        reads: (n, directions) float16 unit vectors: the same, whitened over the model.
        ups, downs: (n, directions) float16 unit vectors of the residual stream, put into the basis.
        sizes: (n, 3) float32 norms of the gate row (1 if there is none), the up row and the down column.
        products: (n, 2) float32 cosines of gate and up and of gate and down, which change sign with their neuron.
        first: (n,) bool, False for copies of a heavier neuron.
        descriptors: (n, features) float64; (0, 0) where all neurons are held.
    """

    layer: int
    heaviest: Int64s
    index: Int64s
    plain: Half
    reads: Half
    ups: Half
    downs: Half
    sizes: Float32s
    products: Float32s
    first: NDArray[np.bool_]
    descriptors: Float64s


@dataclass(frozen=True)
class Neurons:
    """The neurons of a model.

    Attributes:
        weights: where they come from.
        gated: whether they have a gate.
        basis: (hidden, directions) float32 orthonormal: the directions of the residual stream that are looked at.
        whitening: (directions, directions) float32 takes what neurons read, in the basis, to whitened coordinates.
        layers: of the layers asked for, those that have neurons, with DESCRIBED of these at most.
        known: layers with all of their neurons, by index: those that were asked for.
        alike: of pairs of layers that were asked for, whether the first is a copy of the second.
    """

    weights: Weights
    gated: bool
    basis: Float32s
    whitening: Float32s
    layers: tuple[Layer, ...]
    known: dict[int, Layer] = field(default_factory=dict, repr=False)
    alike: dict[tuple[int, int], bool] = field(default_factory=dict, repr=False)

    def copies(self, one: Layer, other: Layer) -> bool:
        """Whether a layer is a copy of another, by the heaviest neurons of both; worked out once for each two layers."""
        pair = one.layer, other.layer
        if pair not in self.alike:
            ours, theirs = (widened(layer.reads[:DESCRIBED]) for layer in (one, other))
            self.alike[pair] = bool(np.mean((ours @ theirs.T).max(axis=1) > COPY) > COPIED)
        return self.alike[pair]


def neurons(weights: Weights, layers: tuple[int, ...]) -> Neurons:
    """The neurons of some layers of a model; those asked for last are kept with its weights, for comparisons of one with many.

    Every layer is read once, several at a time. In memory: a piece of a matrix and the heads of a layer as float32 for every
    thread, 3 * 512 float16 vectors of every layer, a few matrices of directions by directions, and what is returned.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    if layers not in weights.kept.get(neurons, {}):
        weights.kept[neurons] = {layers: _measured(weights, layers)}
    last: Neurons = weights.kept[neurons][layers]
    return last


def whole(model: Neurons, chosen: Sequence[Layer]) -> list[Layer]:
    """The layers with all neurons that can be tested, MOST at most; they are read a second time, if that is more, and kept.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    wanted = {layer.layer: layer for layer in chosen if layer.layer not in model.known}
    found = each(lambda layer: _whole(model, layer), wanted.values(), what="layers read again")
    model.known.update(zip(wanted, found, strict=True))
    return [model.known[layer.layer] for layer in chosen]


def _measured(weights: Weights, layers: tuple[int, ...]) -> Neurons:
    def read(layer: int) -> Read:
        held = DESCRIBED if len(weights.experts(layer)) == 1 else MOST  # of experts that were one FFN most are copies
        return Read(layer, *heaviest(weights, layer, MOST, held))

    found = [item for item in each(read, filter(weights.experts, layers), what="layers read") if len(item.places)]
    gated = any(role == "gate" for _, role, _ in weights.parts)
    some = evenly(len(found), SPREAD)
    basis = directions([found[i].vectors.reads for i in some], weights.hidden)
    found = each(lambda item: item._replace(vectors=item.vectors.within(basis)), found, what="layers projected")
    spread = [found[i] for i in some]
    grams = (_gram(item.vectors.reads) for item in spread)
    whitening = inverse_root(sum(grams, np.zeros((basis.shape[1],) * 2)))
    heads = [spread[i].layer for i in evenly(len(spread), WITH_HEADS)]
    of_heads = each(lambda layer: head_grams(weights, layer, basis), heads, what="layers of heads read")
    every = forms([neuron_grams(item.vectors, gated=gated) for item in spread] + of_heads, gated=gated)

    def described(item: Read) -> Layer:
        layer = _layer(item, whitening)
        gate, up, down = (widened(part[:DESCRIBED]) for part in (layer.plain, layer.ups, layer.downs))
        return replace(layer, descriptors=describe(gate if gated else None, up, down, layer.sizes[:DESCRIBED], every))

    return Neurons(weights, gated, basis, whitening, tuple(each(described, found, what="layers described")))


def _whole(model: Neurons, layer: Layer) -> Layer:
    if len(layer.index) == len(layer.heaviest):
        return layer
    known = Vectors(layer.index, layer.sizes, layer.products, layer.plain, layer.ups, layer.downs)
    missing = layer.heaviest[~np.isin(layer.heaviest, layer.index)]
    held = known + vectors(model.weights, layer.layer, missing).within(model.basis)
    in_order = np.argsort(held.index)
    by_place = in_order[np.searchsorted(held.index, layer.heaviest, sorter=in_order)]
    return _layer(Read(layer.layer, layer.heaviest, held.taken(by_place)), model.whitening)


class Read(NamedTuple):
    """A layer as it was read: places of its heaviest neurons, and the vectors of the first of them."""

    layer: int
    places: Int64s
    vectors: Vectors


def _layer(item: Read, whitening: Float32s) -> Layer:
    """Copies last, reads whitened.

    Args:
        item: with vectors in the basis.
    """
    first = originals(_whitened_cosines(widened(item.vectors.reads)))
    held = item.vectors.taken(np.argsort(~first, kind="stable"))
    white = narrowed(unit(product(widened(held.reads), whitening)))
    vectors_of = held.reads, white, held.ups, held.downs
    return Layer(
        item.layer, item.places, held.index, *vectors_of, held.sizes, held.products, np.sort(first)[::-1], np.empty((0, 0))
    )


def directions(layers: Sequence[Half], hidden: int) -> Float32s:
    """(hidden, k) orthonormal columns: about the k directions in which vectors vary most; all if there are no more.

    Begins with the directions of the heaviest neurons that are no copies, and turns them towards those of the largest variance
    by subspace iteration. So nothing depends on a label or on the coordinates of the stream, and what changes little in a model
    changes the directions little, which exact principal directions at a cut through many equal variances need a decomposition
    of the whole stream for.

    Args:
        layers: of each (n, hidden) unit vectors, the heaviest neuron first.
    """
    if hidden <= DIRECTIONS:
        return np.eye(hidden, dtype=np.float32)
    share = -(-DIRECTIONS // max(len(layers), 1))
    starts = [np.zeros((0, hidden), np.float32)]
    for half in layers:
        some = widened(half[: 4 * share])
        starts.append(some[originals(_whitened_cosines(some))][:share])
    basis = _orthonormal(np.concatenate(starts)[:DIRECTIONS].T)
    part = np.empty_like(basis)  # fresh memory for each layer would cost more than filling it
    for _ in range(STEPS):
        turned = np.zeros_like(basis)
        for half in layers:
            rows = widened(half)
            turned += product(rows.T, product(rows, basis) / np.float32(len(rows)), out=part)
        basis = _orthonormal(turned)
    return basis


def _orthonormal(columns: Float32s) -> Float32s:
    """Of the same span; scipy's QR takes less than half as long as numpy's."""
    return np.ascontiguousarray(qr(columns, mode="economic", check_finite=False)[0])


def _whitened_cosines(reads: Float32s) -> Float32s:
    """(n, n) cosines of vectors after whitening among themselves.

    Without whitening common directions and massive channels would make copies of all. A ridge of the mean eigenvalue keeps
    it from telling apart what differs by little.
    """
    count, width = reads.shape
    if not count:
        return np.zeros((0, 0), np.float32)
    ridge = np.float32(np.einsum("nd,nd->", reads, reads) / (count * width))
    if width <= count:
        inner = reads @ cho_solve(cho_factor(reads.T @ reads / count + ridge * np.eye(width, dtype=np.float32)), reads.T)
    else:
        gram = product(reads, reads.T)
        inner = cho_solve(cho_factor(gram / count + ridge * np.eye(count, dtype=np.float32)), gram)
    length = np.sqrt(np.maximum(np.diag(inner), 1e-30))
    return np.asarray(inner / np.outer(length, length))


def originals(cosines: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,) False for units that are copies of an earlier one, from cosines (n, n) of what they read, whitened."""
    return np.asarray(~np.tril(cosines > COPY, -1).any(axis=1))


def originals_among(reads: NDArray[np.floating]) -> NDArray[np.bool_]:
    """As `originals`, from what units read, whitened: (n, directions) unit vectors. No table of all cosines is made."""
    kept = np.empty(len(reads), dtype=bool)
    for start in range(0, len(reads), TILE):
        stop = start + TILE
        alike = reads[start:stop] @ reads[:stop].T > COPY
        kept[start:stop] = ~np.tril(alike, start - 1).any(axis=1)
    return kept


def _gram(reads: Half) -> Float64s:
    rows = widened(reads)
    return np.asarray(product(rows.T, rows) / len(rows), dtype=np.float64)
