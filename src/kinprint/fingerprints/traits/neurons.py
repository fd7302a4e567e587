"""Norms and angles of each FFN neuron's gate row, up row and down column (METHODS: disguised models, invariants)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.folding import centred, degree
from kinprint.arrays import Array
from kinprint.fingerprints.folded import channel_squares, gain_before, squares_of_columns, squares_of_rows
from kinprint.fingerprints.kernels import products
from kinprint.fingerprints.layer import Layer, Scan, finite
from kinprint.fingerprints.pieces import neuron_slabs

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
    scans = [layer.roles[prefix + role] for role in FFN if prefix + role in layer.roles]
    if not {f"{prefix}up", f"{prefix}down"} <= layer.roles.keys() or len({len(items) for items in scans}) > 1:
        return []
    for number, items in enumerate(zip(*scans, strict=True)):
        if f"{prefix}products {number}" not in layer.kept:
            *readers, down = (item.part.shape for item in items)
            if any(shape != down[::-1] for shape in readers):
                note = f"neurons.*: {prefix}gate, up and down do not fit each other"
                layer.notes += [note] if note not in layer.notes else []
                return []
            _measure(layer, prefix, number, items)
    return [layer.kept[f"{prefix}products {number}"] for number in range(len(scans[0]))]


def neuron_squares(layer: Layer, item: Scan, number: int) -> Array:
    """(hidden,) of each residual channel the weighted sum of squares over what an expert's neurons read or write, in folded
    form; `inner_products` are known. The weights are what else fixes the size of a neuron's line."""
    found = layer.kept.get(f"{item.part.role} squares {number}")
    return channel_squares(layer, item) if found is None else found


def _measure(layer: Layer, prefix: str, number: int, items: tuple[Scan, ...]) -> None:
    """The inner products of an expert and its `neuron_squares`, some neurons at a time, so that they are read once."""
    matrices = [item.part.read() for item in items]
    gain, centre = gain_before(layer, prefix + "up"), centred(layer.facts)
    inner = np.empty((len(matrices[0]), 6))
    squares: dict[str, Array] = {}
    for here, parts in neuron_slabs(*matrices):
        inner[here] = products(parts[0], parts[-2], parts[-1], gain, centre=centre)
        for item, part in zip(items, parts, strict=True):
            found = _squares(layer, item, part, here, inner[here], gated=len(items) == 3, prefix=prefix)
            if found is not None:
                squares[item.part.role] = squares.get(item.part.role, 0.0) + found
    layer.kept[f"{prefix}products {number}"] = inner
    layer.kept |= {f"{role} squares {number}": values for role, values in squares.items()}


def _squares(
    layer: Layer, item: Scan, part: NDArray[Any], here: slice, inner: Array, *, gated: bool, prefix: str
) -> Array | None:
    """(hidden,) what some neurons add to `neuron_squares`; None where no second pass is needed."""
    role, centre, finite = item.part.role.removeprefix(prefix), centred(layer.facts), not item.sums.totals[7]
    weights = _weights(inner, role, gated, degree(layer.facts))
    if weights is None:
        if not centre:
            return None
        weights = np.ones(len(inner))
    if role != "down":
        return squares_of_columns(part, weights, gain_before(layer, item.part.role), centre=centre, finite=finite)
    means = item.sums.column_sums[here] / item.part.shape[0] if centre else None
    return squares_of_rows(part, weights, means, finite=finite)


def _weights(inner: Array, role: str, gated: bool, degree: int | None) -> Array | None:
    """(neurons,) what else fixes the size of a neuron's line, so that the product is that of no free scale; None for nothing.

    Args:
        inner: of `inner_products`.
        degree: of the activation, if it is homogeneous.
    """
    gate, up, down = inner[:, :3].T
    if gated:
        own = 1.0 if degree is None else gate**degree
        traded: dict[str, Array | None] = {"up": down * own, "down": up * own}
        return traded.get(role) if role != "gate" or degree is None else np.asarray((up * down) ** (1 / degree))
    if degree is None:
        return None
    return np.asarray(down ** (1 / degree) if role == "up" else up**degree)


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
