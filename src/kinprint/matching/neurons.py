"""The neurons of a model that are compared: the heaviest of every layer, in folded form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s
from kinprint.matching.descriptors import Forms, describe
from kinprint.matching.rotation import principal, unit

Half = NDArray[np.float16]

MOST = 2048
"""Neurons of a layer that are kept: enough for a test, few enough for matrices of 4096 channels to fit memory."""

DIRECTIONS = 1024
"""Directions of the residual stream that are looked at, those in which the neurons' reads vary most. In wider models a rotation
of all would take minutes to find and tell no more: a thousand directions tell neurons apart by thirty standard deviations."""

DESCRIBED = 512
"""Of these, neurons that carry descriptors and find the first matches."""

TILE = 256
"""Units compared at a time with all before them."""

COPY = 0.7
"""Cosine of what two neurons read, whitened, from which one counts as a copy of the other: split neurons, experts that were
one FFN, layers that were one. Leaving out some that are none costs little."""


@dataclass(frozen=True)
class Layer:
    """Neurons of one layer, those of all experts together: the heaviest first, copies of heavier ones last.

    Attributes:
        layer: its index in the model.
        index: (n,) int64 place of each neuron in the layer: expert times neurons an expert, plus neuron.
        reads: (n, directions) float16 unit vectors: the gate row (the up row if there is no gate), whitened over the model.
        sizes: (n, 3) float32 norms of the gate row (1 if there is none), the up row and the down column.
        descriptors: (at most DESCRIBED, features) float64 of the first neurons.
        first: (n,) bool, False for copies of a heavier neuron.
    """

    layer: int
    index: NDArray[np.int64]
    reads: Half
    sizes: Float32s
    descriptors: NDArray[np.float64]
    first: NDArray[np.bool_]


@dataclass(frozen=True)
class Neurons:
    """The neurons of a model.

    Attributes:
        weights: where they come from.
        gated: whether they have a gate.
        basis: (hidden, directions) float32 orthonormal: the directions of the residual stream that are looked at.
        layers: of the layers asked for, those that have neurons.
    """

    weights: Weights
    gated: bool
    basis: Float32s
    layers: tuple[Layer, ...]


def neurons(weights: Weights, layers: tuple[int, ...]) -> Neurons:
    """The neurons of some layers of a model; those asked for last are kept with its weights, for comparisons of one with many.

    In memory at any time: the three matrices of one layer as float32, seven matrices (hidden, hidden), 2048 float16 vectors of
    every layer, and what is returned.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    if layers not in weights.kept.get(neurons, {}):
        weights.kept[neurons] = {layers: _measured(weights, layers)}
    last: Neurons = weights.kept[neurons][layers]
    return last


def _measured(weights: Weights, layers: tuple[int, ...]) -> Neurons:
    forms = Forms(weights.hidden)
    raw: list[list[Half]] = []
    kept: list[Layer] = []
    gated = any(role == "gate" for _, role, _ in weights.parts)
    for layer in layers:
        if not weights.experts(layer):
            continue
        index, sizes, first, (read, up, down) = _heaviest(weights, layer)
        if not len(index):
            continue
        outer = (sizes[:, 1] * sizes[:, 2])[:, None]  # what scaling up against down leaves alone
        forms.add(weights, layer, {"up": up * outer, "down": down * outer} | ({"gate": read * sizes[:, :1]} if gated else {}))
        raw.append([part[:DESCRIBED].astype(np.float16) for part in (read, up, down)])
        kept.append(Layer(layer, index, read.astype(np.float16), sizes, np.empty((0, 0)), first))
    basis, whitening = principal(sum((_gram(layer.reads) for layer in kept), np.zeros((weights.hidden,) * 2)), DIRECTIONS)
    matrices = [
        None if form is None else np.asarray(basis.T @ form @ basis, dtype=np.float32) for form in forms.matrices(gated)
    ]
    finished = []
    for part, described in zip(kept, raw, strict=True):
        read, up, down = (kind.astype(np.float32) @ basis for kind in described)
        descriptors = describe(read if gated else None, up, down, part.sizes[: len(up)], matrices)
        white = unit(part.reads.astype(np.float32) @ whitening)
        finished.append(replace(part, descriptors=descriptors, reads=white.astype(np.float16)))
    return Neurons(weights, gated, basis, tuple(finished))


def vectors(model: Neurons, layer: Layer, role: str, chosen: NDArray[np.int64]) -> Float32s:
    """(len(chosen), directions) float32 what some neurons of a layer read by gate or up, or write by down, as unit vectors
    of the residual stream before they were put into the basis."""
    weights = model.weights
    experts = weights.experts(layer.layer)
    places = layer.index[chosen]
    rows = np.empty((len(chosen), weights.hidden), np.float32)
    start = 0
    for expert in experts:
        part = weights.parts[layer.layer, role, expert]
        count = part.shape[part.axes.index("neurons")]
        here = (places >= start) & (places < start + count)
        if here.any():
            rows[here] = _rows(weights, layer.layer, role, expert)[places[here] - start]
        start += count
    return np.asarray(unit(rows) @ model.basis)


def _heaviest(weights: Weights, layer: int) -> tuple[NDArray[np.int64], Float32s, NDArray[np.bool_], list[Float32s]]:
    """Place, norms, `first` and unit vectors (gate or up, up, down) of the MOST neurons with the largest product of norms.

    The product is the same in every disguise: gains are folded, and scaling moves norm from up to down.
    """
    places, sizes, parts = [], [], []
    start = 0
    for expert in weights.experts(layer):
        gate, up, down = (_rows(weights, layer, role, expert) for role in ("gate", "up", "down"))
        norms = np.stack([np.linalg.norm(part, axis=1) if len(part) else np.ones(len(up)) for part in (gate, up, down)], axis=1)
        weight = norms.prod(axis=1)
        usable = np.isfinite(weight) & (weight > 0)
        chosen = np.argsort(-np.where(usable, weight, -1.0), kind="stable")[: min(MOST, int(usable.sum()))]
        places.append(start + chosen)
        sizes.append(norms[chosen])
        parts.append([unit(part[chosen]) if len(part) else unit(up[chosen]) for part in (gate, up, down)])
        start += len(up)
    norms = np.concatenate(sizes)
    order = np.argsort(-norms.prod(axis=1), kind="stable")[:MOST]
    joined = [np.concatenate(kind)[order] for kind in zip(*parts, strict=True)]
    first = _first(joined[0])
    last = np.argsort(~first, kind="stable")
    index, norms = np.concatenate(places)[order][last], norms[order][last].astype(np.float32)
    return index, norms, first[last], [part[last] for part in joined]


def _rows(weights: Weights, layer: int, role: str, expert: int | None) -> Float32s:
    """(neurons, hidden) of a role; empty if the model has none."""
    matrix = weights.folded(layer, role, expert)
    if matrix is None:
        return np.empty((0, weights.hidden), np.float32)
    return matrix.T if role == "down" else matrix


def _first(reads: Float32s) -> NDArray[np.bool_]:
    """Which neurons are no copy of a heavier one, by cosines after whitening within the layer.

    Without whitening common directions and massive channels would make copies of all. A ridge of the mean eigenvalue keeps
    it from telling apart what differs by little.
    """
    count, width = reads.shape
    if not count:
        return np.ones(0, dtype=bool)
    ridge = np.float32(np.einsum("nd,nd->", reads, reads) / (count * width))
    if width <= count:
        inner = reads @ np.linalg.solve(reads.T @ reads / count + ridge * np.eye(width, dtype=np.float32), reads.T)
    else:
        gram = reads @ reads.T
        inner = np.linalg.solve(gram / count + ridge * np.eye(count, dtype=np.float32), gram)
    length = np.sqrt(np.maximum(np.diag(inner), 1e-30))
    return np.asarray(~np.tril(inner / np.outer(length, length) > COPY, -1).any(axis=1))


def originals(reads: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,) False for units that are copies of an earlier one, from what they read, whitened: (n, directions) unit vectors."""
    kept = np.empty(len(reads), dtype=bool)
    for start in range(0, len(reads), TILE):
        stop = start + TILE
        alike = reads[start:stop] @ reads[:stop].T > COPY
        kept[start:stop] = ~np.tril(alike, start - 1).any(axis=1)
    return kept


def _gram(reads: Half) -> NDArray[np.float64]:
    wide = reads.astype(np.float32)
    return np.asarray(wide.T @ wide / len(wide), dtype=np.float64)
