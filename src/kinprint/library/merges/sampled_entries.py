"""The entries that fingerprints hold of the same weights: one row a model, one column a place.

Samples lie at positions that depend on role and shape alone (`kinprint.fingerprints.sample_positions`), so that column i is the
same weight in every model of one shape. Of gains and biases, which fingerprints hold whole, at most as many entries of a tensor
are taken, evenly spaced: no tensor shall count for more than the matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.roles import MATRICES
from kinprint.arrays import Float64s, Int64s
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.sample_positions import positions

OUTSIDE = -1
"""Where a layer number stands: tensors that belong to no layer."""

VECTORS = ("gains.", "biases.", "norm_biases.")
ENTRIES = 256
"""Entries taken of a vector."""


@dataclass(frozen=True)
class EntryPlaces:
    """Where the columns come from.

    Attributes:
        names: of the tensors, "q", "gains.input"; a tensor is one role of one layer.
        layers: (tensors,) layer of each, OUTSIDE for those of none.
        tensor: (columns,) tensor of each column.
        channel: (columns,) residual channel of each column; -1 where there is none.
        matrix: (columns,) whether it is a sample of a matrix.
        expert: (columns,) expert of each column; -1 where the layer has none.
    """

    names: tuple[str, ...]
    layers: Int64s
    tensor: Int64s
    channel: Int64s
    matrix: NDArray[np.bool_]
    expert: Int64s

    @property
    def layer(self) -> Int64s:
        """(columns,) layer of each column."""
        return self.layers[self.tensor]


def shape(model: Fingerprint) -> tuple[object, ...]:
    """What has to be equal for columns to be the same weights: traits of the layers, and the shapes of the matrices."""
    traits = sorted((name, model.traits[name].shape) for name in _traits(model) if not _outside(name))
    return (*traits, *sorted((role, shapes) for role, shapes in model.stated.shapes.items()))


def layer_shape(model: Fingerprint) -> tuple[object, ...] | None:
    """As `shape`, of a single layer; None if the layers are not alike."""
    traits = sorted((name, model.traits[name].shape[1:]) for name in _traits(model) if not _outside(name))
    sampled = []
    for role, shapes in sorted(model.stated.shapes.items()):
        if len(set(shapes)) != 1:
            return None
        sampled.append((role, shapes[0]))
    return (*traits, *sampled) if traits else None


def places(model: Fingerprint) -> EntryPlaces:
    """The columns of a model, and of all others of its `shape`."""
    names: list[str] = []
    layers: list[int] = []
    tensor, channel, matrix, expert = [], [], [], []
    for name in _traits(model):
        trait = model.traits[name]
        rows = trait.reshape(1, -1) if _outside(name) else trait
        for number, row in enumerate(rows):
            taken = _taken(name, row)
            role = name.removeprefix("sample.")
            tensor.append(np.full(len(taken), len(names)))
            channel.append(_channels(model, role, number, taken, name == role))
            matrix.append(np.full(len(taken), name != role))
            expert.append(_experts(model, role, number, taken))
            names.append(role)
            layers.append(OUTSIDE if _outside(name) else number)
    if not names:
        nothing = np.zeros(0, np.int64)
        return EntryPlaces((), nothing, nothing, nothing, nothing.astype(bool), nothing)
    joined = (np.concatenate(part) for part in (tensor, channel, matrix, expert))
    return EntryPlaces(tuple(names), np.array(layers), *joined)


def values(model: Fingerprint, like: Fingerprint) -> Float64s:
    """(columns,) the model's entries in the columns of `like`, which has its `shape`; NaN where it has none of its own.

    Embeddings count where both models say the same number of tokens: other positions would be read otherwise.
    """
    columns = []
    for name in _traits(like):
        wanted, trait = like.traits[name], model.traits.get(name)
        known = trait is not None and trait.shape == wanted.shape
        if name in ("sample.embedding", "sample.head"):
            vocabularies = [(m.stated.tokens, m.stated.vocab_size, m.stated.hidden_size) for m in (model, like)]
            known = known and vocabularies[0] == vocabularies[1]
        for number, row in enumerate(wanted.reshape(1, -1) if _outside(name) else wanted):
            taken = _taken(name, row)
            if known and trait is not None:
                rows = trait.reshape(1, -1) if _outside(name) else trait
                columns.append(np.asarray(rows[number][taken], np.float64))
            else:
                columns.append(np.full(len(taken), np.nan))
    return np.concatenate(columns) if columns else np.zeros(0)


def spacing(model: Fingerprint, where: EntryPlaces, entries: Float64s) -> Float64s:
    """(columns,) distance of neighbouring numbers of the type that the model is stored in, at its entries.

    Of types that the facts do not say: float32, as fingerprints are.
    """
    types = [model.stated.dtypes.get(name, "float32") for name in where.names]
    facts = [ml_dtypes.finfo(np.dtype(dtype)) for dtype in types]  # type: ignore[no-untyped-call]
    relative = np.array([float(fact.eps) for fact in facts])[where.tensor]
    smallest = np.array([float(fact.smallest_normal) for fact in facts])[where.tensor]
    sizes = np.maximum(np.abs(np.nan_to_num(entries)), smallest)
    return np.asarray(relative * np.exp2(np.floor(np.log2(sizes))))


def _traits(model: Fingerprint) -> list[str]:
    wanted = [name for name in model.traits if name.startswith(("sample.", *VECTORS))]
    return sorted(name for name in wanted if model.traits[name].dtype.kind == "f" and model.traits[name].ndim <= 2)


def _outside(name: str) -> bool:
    """Whether a trait belongs to no layer."""
    return name in ("sample.embedding", "sample.head", "gains.final", "norm_biases.final", "gains.embedding")


def _taken(name: str, row: NDArray[np.float32]) -> Int64s:
    """Indices of a row that become columns."""
    if name.startswith("sample.") or len(row) <= ENTRIES:
        return np.arange(len(row))
    return np.arange(ENTRIES) * len(row) // ENTRIES


def _channels(model: Fingerprint, role: str, layer: int, taken: Int64s, vector: bool) -> Int64s:
    """The residual channel of each entry of a tensor; -1 where it has none or it is not known."""
    hidden = model.stated.hidden_size
    if vector:
        on_stream = role.removeprefix("norm_").split(".")[1] not in ("q", "k", "v", "up", "gate") or role.startswith("gains")
        whole = len(taken) and hidden is not None and taken[-1] < hidden
        return taken if on_stream and whole else np.full(len(taken), -1)
    matrix = model.stated.matrix(role, layer)
    if matrix is None or role not in MATRICES or "residual" not in MATRICES[role]:
        return np.full(len(taken), -1)
    flat = positions(role, matrix, len(taken))
    return flat % matrix[1] if MATRICES[role][1] == "residual" else flat // matrix[1]


def _experts(model: Fingerprint, role: str, layer: int, taken: Int64s) -> Int64s:
    """The expert of each sample of a matrix: sample i is of expert i modulo their number (docs/fingerprint-format.md)."""
    shapes = model.stated.shapes.get(role, ())
    matrices = shapes[layer] if layer < len(shapes) else None
    count = matrices[0] if matrices is not None and len(matrices) == 3 else 1
    return taken % count if count > 1 else np.full(len(taken), -1)


def matrix_of(models: Sequence[Fingerprint], like: Fingerprint) -> Float64s:
    """(models, columns) of `values`."""
    return np.stack([values(model, like) for model in models]) if models else np.zeros((0, len(values(like, like))))
