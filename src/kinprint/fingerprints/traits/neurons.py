"""Norms and angles of each FFN neuron's gate row, up row and down column (METHODS: disguised models, invariants)."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.folding import centred, degree
from kinprint.arrays import Array
from kinprint.fingerprints.folded import gain_before
from kinprint.fingerprints.kernels import products
from kinprint.fingerprints.layer import Layer, finite
from kinprint.fingerprints.pieces import release

SLAB = 1 << 22
"""Entries of each matrix handled at a time."""

FFN = ("gate", "up", "down")


def rows(layer: Layer) -> dict[str, Array]:
    """neurons.norms (neurons, 3) of gate, up, down as stored, and neurons.invariants (neurons, 5); of the first expert.

    NaN where there is no gate, a vector is zero or holds something that is not finite.
    """
    inner = inner_products(layer)
    if not inner:
        return {}
    gated, first = "gate" in layer.roles, inner[0]
    squares = [layer.roles[role][0].sums.row_squares if role in layer.roles else np.nan for role in ("gate", "up")]
    stored = np.stack(np.broadcast_arrays(*squares, layer.roles["down"][0].sums.column_squares), axis=1)
    norms = np.where(np.isfinite(first[:, :3]), np.sqrt(stored), np.nan)
    return {"neurons.norms": norms, "neurons.invariants": invariants(first, gated=gated, degree=degree(layer.facts))}


def inner_products(layer: Layer, prefix: str = "") -> list[Array]:
    """Of every expert (neurons, 6) inner products of its neurons' vectors in folded form, computed once a layer: of gate,
    up, down with themselves, gate.up, gate.down, up.down. Without a gate up stands for it. Empty, and a note, where they do not
    fit each other.

    Args:
        prefix: "shared_" of the shared expert.
    """
    products_by_expert = []
    scans = [layer.roles[prefix + role] for role in FFN if prefix + role in layer.roles]
    if not {f"{prefix}up", f"{prefix}down"} <= layer.roles.keys() or len({len(items) for items in scans}) > 1:
        return []
    for number, items in enumerate(zip(*scans, strict=True)):
        name = f"{prefix}products {number}"
        if name not in layer.kept:
            arrays = [item.part.read() for item in items]
            gate, up, down = arrays if len(arrays) == 3 else [arrays[0], *arrays]
            if not gate.shape == up.shape == down.shape[::-1]:
                note = f"neurons.*: {prefix}gate, up and down do not fit each other"
                layer.notes += [note] if note not in layer.notes else []
                return []
            gain, centre = gain_before(layer, prefix + "up"), centred(layer.facts)
            inner = np.empty((len(up), 6))
            step = max(SLAB // max(up.shape[1], 1), 64)
            for start in range(0, len(up), step):
                here = slice(start, start + step)
                inner[here] = products(gate[here], up[here], down[:, here], gain, centre=centre)
                for array in arrays:
                    release(array)
            layer.kept[name] = inner
        products_by_expert.append(layer.kept[name])
    return products_by_expert


def invariants(inner: Array, *, gated: bool, degree: int | None) -> Array:
    """What no free scale of a neuron changes, from `inner_products`.

    Args:
        degree: of the activation, if it is homogeneous.

    Returns:
        (neurons, 5): log of the norm that fixes the neuron's nonlinearity, ||gate||, without a gate ||up||, NaN if the
        activation is homogeneous; log of the product of all norms that can be traded for each other; cos(gate, up),
        cos(gate, down), cos(up, down). Without a gate its angles are NaN.
    """
    with np.errstate(all="ignore"):
        g, u, d = np.sqrt(inner[:, :3]).T
        angles = inner[:, 3:] / np.stack([g * u, g * d, u * d], axis=1)
        first, product = np.log(g), np.log(u * d)
        if degree is not None:
            product = (degree * np.log(g) + product) if gated else degree * np.log(u) + np.log(d)
            first = np.full(len(inner), np.nan)
    if not gated:
        angles[:, :2] = np.nan
    columns = np.column_stack([first, product, angles])
    idle = ~np.isfinite(product) | ~(g > 0)
    return finite(np.where(idle[:, None], np.nan, columns))
