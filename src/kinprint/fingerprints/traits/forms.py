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
from kinprint.fingerprints.kernels import picked
from kinprint.fingerprints.layer import Layer, finite
from kinprint.fingerprints.pieces import release
from kinprint.fingerprints.traits._factors import factors
from kinprint.fingerprints.traits.heads import both_sides, heads_and_groups
from kinprint.fingerprints.traits.neurons import FFN, inner_products

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
    places, inner = _heaviest(layer, min(MOST, max(ENTRIES // layer.roles["up"][0].part.shape[1], 1)))
    in_order = np.lexsort(places.T[::-1])
    places, inner = places[in_order], inner[in_order]
    columns = {Column("expert"): places[:, 0].astype(float)}
    with np.errstate(all="ignore"):
        sizes = {role: np.sqrt(inner[:, number]) for number, role in enumerate(FFN) if role in layer.roles}
        columns |= _norms_and_cosines(inner, sizes)
        units = {role: _vectors(layer, role, places) for role in sizes}
        for role, vectors in units.items():
            np.divide(vectors, sizes[role][:, None].astype(np.float32), out=vectors)
        for form, rows in zip(HEADS, _heads(layer), strict=True):
            columns |= _values(units, form, rows)
    forms = np.empty((len(places), len(COLUMNS)))
    forms[in_order] = finite(np.stack([columns[column] for column in COLUMNS], axis=1))
    return {"neurons.forms": forms}


def _heaviest(layer: Layer, most: int) -> tuple[NDArray[np.int64], Array]:
    """(n, 2) expert and neuron, by the product of the norms, and (n, 6) their `inner_products`."""
    by_expert = inner_products(layer)
    inner = np.concatenate(by_expert)
    numbers = np.repeat(np.arange(len(by_expert)), [len(each) for each in by_expert])
    places = np.stack([numbers, np.concatenate([np.arange(len(each)) for each in by_expert])], axis=1)
    size = inner[:, 0 if "gate" in layer.roles else 1 : 3].prod(axis=1)
    heaviest = np.argsort(-np.where(np.isfinite(size), size, 0.0), kind="stable")[:most]
    return places[heaviest], inner[heaviest]


def _norms_and_cosines(inner: Array, sizes: Mapping[str, Array]) -> dict[Column, Array]:
    """The columns that follow from `inner_products` and their roots."""
    nothing = np.full(len(inner), np.nan)
    columns = {
        Column("norm", ("gate",)): np.log(sizes.get("gate", nothing)),
        Column("norm", ("up", "down")): np.log(sizes["up"] * sizes["down"]),
    }
    for number, (one, other) in enumerate(PAIRS, 3):
        there = {one, other} <= sizes.keys()
        columns[Column("cosine", (one, other))] = inner[:, number] / (sizes[one] * sizes[other]) if there else nothing
    return columns


def _vectors(layer: Layer, role: str, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, hidden) rows of gate or up, columns of down, in folded form; of neurons in the order of the layer."""
    parts = []
    for number, scan in enumerate(layer.roles[role]):
        here = chosen[chosen[:, 0] == number, 1]
        if len(here):
            matrix = scan.part.read()
            parts.append(picked(matrix, here, axis=1 if role == "down" else 0))
            release(matrix)
    vectors = parts[0] if len(parts) == 1 else np.concatenate(parts)
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
