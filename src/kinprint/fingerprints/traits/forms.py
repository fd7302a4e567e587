"""What no disguise changes about the heaviest neurons of a layer (METHODS: disguised models, 2a).

Everything is taken in folded form: norm gains folded in, behind a LayerNorm the mean over channels removed. A form v^T M v
or u^T M v of a neuron's vectors does not depend on the basis of the residual stream, and M is what the layer's heads read or
write, so it does not depend on the labels of heads or on maps inside them: of each head's products S = W_q^T W_k and
P = W_o W_v the leading directions of S S^T, S^T S, P P^T and P^T P.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Array
from kinprint.fingerprints.folded import fold
from kinprint.fingerprints.form_columns import COLUMNS, HEADS, PAIRS, Column
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer, finite
from kinprint.fingerprints.pieces import release
from kinprint.fingerprints.traits._factors import factors
from kinprint.fingerprints.traits.heads import both_sides, heads_and_groups
from kinprint.fingerprints.traits.neurons import inner_products

MOST = 2048
"""Neurons of a layer, over all experts."""

ENTRIES = 1 << 22
"""Entries of their vectors, of each kind: fewer neurons in wider models."""

PRODUCTS = (("q", "k"), ("o", "v"))


def rows(layer: Layer) -> dict[str, Array]:
    """neurons.forms (n, columns of `COLUMNS`), the neurons of the largest product of norms, NaN rows where a layer has fewer
    than others."""
    if not inner_products(layer):
        return {}
    chosen = _heaviest(layer, min(MOST, max(ENTRIES // layer.roles["up"][0].part.shape[1], 1)))
    vectors: dict[str, NDArray[np.float32]] = {
        role: _vectors(layer, role, chosen) for role in ("gate", "up", "down") if role in layer.roles
    }
    with np.errstate(all="ignore"):
        norms = {role: np.linalg.norm(part, axis=1).astype(np.float64) for role, part in vectors.items()}
        units: dict[str, NDArray[np.float32]] = {
            role: np.divide(part, norms[role][:, None].astype(np.float32), out=part) for role, part in vectors.items()
        }
        nothing = np.full(len(chosen), np.nan)
        columns = {
            Column("expert"): chosen[:, 0].astype(float),
            Column("norm", ("gate",)): np.log(norms.get("gate", nothing)),
            Column("norm", ("up", "down")): np.log(norms["up"] * norms["down"]),
        }
        columns |= {Column("cosine", pair): _product(units, *pair) for pair in PAIRS}
        for form, rows in zip(HEADS, _heads(layer), strict=True):
            columns |= _values(units, form, rows)
    return {"neurons.forms": finite(np.stack([columns[column] for column in COLUMNS], axis=1))}


def _heaviest(layer: Layer, most: int) -> NDArray[np.int64]:
    """(n, 2) expert and neuron, by the product of the norms."""
    weight, places = [], []
    for number, inner in enumerate(inner_products(layer)):
        size = inner[:, 0 if "gate" in layer.roles else 1 : 3].prod(axis=1)
        weight.append(np.where(np.isfinite(size), size, 0.0))
        places.append(np.stack([np.full(len(size), number), np.arange(len(size))], axis=1))
    order = np.argsort(-np.concatenate(weight), kind="stable")[:most]
    return np.asarray(np.concatenate(places)[order])


def _vectors(layer: Layer, role: str, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, hidden) rows of gate or up, columns of down, in folded form."""
    vectors = np.empty((len(chosen), layer.roles["up"][0].part.shape[1]), np.float32)
    for number, scan in enumerate(layer.roles[role]):
        here = chosen[:, 0] == number
        if here.any():
            matrix = scan.part.read()
            picked = matrix[:, chosen[here, 1]].T if role == "down" else matrix[chosen[here, 1]]
            vectors[here] = widened(picked)
            release(matrix)
    fold(layer, role, vectors)
    return vectors


def _values(units: Mapping[str, NDArray[np.float32]], form: str, rows: NDArray[np.float32] | None) -> dict[Column, Array]:
    """The columns of one form R^T R; NaN where the layer has none."""
    alike, unlike = [column for column in COLUMNS if column.what == form and len(set(column.of)) == 1], PAIRS
    if rows is None:
        nothing = np.full(len(units["up"]), np.nan)
        return dict.fromkeys(alike, nothing) | {Column(form, pair): nothing for pair in unlike}
    turned = {role: part @ rows.T for role, part in units.items()}
    return {column: np.log(_product(turned, *column.of)) for column in alike} | {
        Column(form, pair): _product(turned, *pair) for pair in unlike
    }


def _product(vectors: Mapping[str, NDArray[np.float32]], one: str, other: str) -> Array:
    """(n,) inner products; NaN where neurons have no such vector."""
    if not {one, other} <= vectors.keys():
        return np.full(len(vectors["up"]), np.nan)
    return np.asarray(np.einsum("nd,nd->n", vectors[one], vectors[other]), dtype=np.float64)


def _heads(layer: Layer) -> list[NDArray[np.float32] | None]:
    """What heads read and write: rows R of each form R^T R, of mean square 1, or None."""
    forms: list[NDArray[np.float32] | None] = []
    for left, right in PRODUCTS:
        sides = both_sides(layer, left, right)
        divided = heads_and_groups(layer, "neurons.forms", sides) if sides else None
        if not sides or not divided:
            forms += [None, None]
            continue
        forms += [_of_mean_square_1(factor.leading) for factor in factors(layer, sides, *divided)]
    return forms


def _of_mean_square_1(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows * np.sqrt(rows.shape[1] / max(float((rows**2).sum()), 1e-300)), dtype=np.float32)
