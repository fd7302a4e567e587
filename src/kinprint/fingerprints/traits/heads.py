"""Singular values of each head's QK and VO product (GhostSpec, arXiv 2511.06390, has those of the whole layer).

They are taken in folded form, so that of a model and a copy that computes the same they are the same. Where a norm stands
behind queries and keys, its gains are folded into their rows, and the size of what it norms, which it undoes, is divided out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.facts import of_layer
from kinprint.architectures.folding import centred
from kinprint.architectures.roles import LATENT
from kinprint.arrays import Array
from kinprint.fingerprints.folded import channel_squares, fold, folded
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.pieces import blocks
from kinprint.fingerprints.spectra import gram_values

SLAB = 2048
"""Columns in memory as float64 at a time."""


@dataclass(frozen=True)
class Side:
    """What the heads of a layer read or write by one of q, k, v and o: the rows of a matrix, or of a product of two.

    Attributes:
        role: "q", "k", "v" or "o".
        reads: role of the matrix on the residual stream.
        rows: (heads * d, hidden) as stored, o turned; with a latent (heads * d, latent), not rotated by positions.
        down: (latent, hidden) float32, times the gain of the latent's norm; None where there is no latent.
        finite: whether all of it is.
    """

    role: str
    reads: str
    rows: NDArray[Any]
    down: NDArray[np.float32] | None
    finite: bool


def rows(layer: Layer) -> dict[str, Array]:
    """heads.qk_spectrum, heads.vo_spectrum (heads, rank), a row for each query head; NaN if not all of it is finite. Nothing of
    a layer whose heads are grouped unlike those of most layers: its heads cannot be exchanged as theirs can."""
    spectra = {}
    for name, left, right in (("heads.qk_spectrum", "q", "k"), ("heads.vo_spectrum", "o", "v")):
        sides = both_sides(layer, left, right)
        divided = heads_and_groups(layer, name, sides) if sides else None
        if sides and divided and divided == (layer.facts["num_attention_heads"], layer.facts["num_key_value_heads"]):
            spectra[name] = product_spectra(*(head_grams(layer, *pair) for pair in zip(sides, divided, strict=True)))
    if "heads.vo_spectrum" in spectra and "gains.attention_output" in layer.roles:  # a norm behind the layer undoes its size
        with np.errstate(invalid="ignore"):
            spectra["heads.vo_spectrum"] /= np.sqrt(np.nansum(spectra["heads.vo_spectrum"] ** 2))
    return spectra


def both_sides(layer: Layer, left: str, right: str) -> tuple[Side, Side] | None:
    """The two factors of a product; None if the layer has not both."""
    sides = [side(layer, role) for role in (left, right)]
    return (sides[0], sides[1]) if sides[0] and sides[1] else None


def side(layer: Layer, role: str) -> Side | None:
    """One factor, its matrices not read; None if the layer has none."""
    if parts := layer.first(role):
        array = parts[0].read()
        return Side(role, role, array.T if role == "o" else array, None, _finite(layer, role))
    via = LATENT.get(role)
    if not via or not (parts := layer.first(via.up, via.down)):
        return None
    gains = layer.first(via.gain)
    down = widened(parts[1].read(), np.float32)
    if gains:
        down = down * widened(gains[0].read(), np.float32)[:, None]
    return Side(role, via.down, parts[0].read(), down, _finite(layer, via.up, via.down, *([via.gain] if gains else [])))


def _finite(layer: Layer, *roles: str) -> bool:
    return not any(layer.roles[role][0].sums.totals[7] for role in roles)


def heads_and_groups(layer: Layer, name: str, sides: tuple[Side, Side]) -> tuple[int, int] | None:
    """Query heads and key-value heads, by which the rows of two factors divide; None, and a note, where they do not."""
    facts = of_layer(layer.facts, layer.index)
    heads, groups = facts.get("num_attention_heads"), facts.get("num_key_value_heads")
    left, right = (len(side.rows) for side in sides)
    if heads and groups and not heads % groups and left * groups == right * heads and not right % groups:
        return heads, groups
    roles = " and ".join(side.role for side in sides)
    layer.notes.append(f"{name}: {roles} do not divide into the heads declared")
    return None


def head_grams(layer: Layer, side: Side, count: int) -> Array:
    """(count, d, d) float64 Gram matrices of the heads of a factor in folded form, computed once a layer.

    Through a latent they follow from the Gram matrix of what leads into it: no head is ever multiplied out.
    """
    kept = layer.kept.get(side.role)
    if kept is None:
        if side.down is None:
            kept = np.stack([_gram(layer, side, rows) for rows in blocks(side.rows, count, np.float64)])
        else:
            inner = _gram_of_latent(layer, side)
            kept = np.stack([rows @ inner @ rows.T for rows in blocks(side.rows, count, np.float64)])
        maps = _norm_behind(layer, side.role, kept)
        if maps is not None:
            layer.kept[f"{side.role} maps"] = maps
            kept = maps @ kept @ maps.transpose(0, 2, 1)
        layer.kept[side.role] = kept
    return kept


def _gram(layer: Layer, side: Side, rows: Array) -> Array:
    """(d, d) of the rows of a head, which come into folded form."""
    fold(layer, side.reads, rows)
    return rows @ rows.T


def head_map(layer: Layer, side: Side, head: int) -> Array | None:
    """(d, d) what the norm behind queries or keys makes of a head's rows, once `head_grams` are known; None without one."""
    maps = layer.kept.get(f"{side.role} maps")
    return None if maps is None else maps[head]


def _norm_behind(layer: Layer, role: str, grams: Array) -> Array | None:
    """(heads, d, d) gains of the norm behind queries or keys, after the mean over the head where it takes that out, divided by
    the size of what it norms; None where there is no norm.

    Args:
        grams: (heads, d, d) Gram matrices of the rows in front of it.
    """
    parts = layer.first(f"gains.{role}")
    if role not in ("q", "k") or not (parts or layer.facts.get("qk_norm")):
        return None
    heads, width = grams.shape[:2]
    gain = widened(parts[0].read(), np.float64) if parts else np.ones(width)
    if len(gain) not in (width, heads * width):
        return None
    inner = np.eye(width)
    if centred(layer.facts) or f"norm_biases.{role}" in layer.roles:
        inner -= 1 / width
    squares = np.einsum("hij,ij->h", inner @ grams, inner)
    if len(gain) > width:  # one norm for all heads
        squares = np.full(heads, squares.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.where(squares > 0, np.sqrt(squares / width), np.nan)
    rows_ = np.broadcast_to(gain.reshape(-1, width), (heads, width)) / sizes[:, None]
    return np.asarray(rows_[:, :, None] * inner)


def _gram_of_latent(layer: Layer, side: Side) -> Array:
    """(latent, latent) float64, added up over slabs of columns; keys and values share one. A norm on the latent undoes the size
    of what leads into it."""
    assert side.down is not None
    kept = layer.kept.get(side.reads)
    if kept is None:
        down = folded(layer, side.reads, side.down)
        kept = np.zeros((len(down), len(down)))
        for begin in range(0, down.shape[1], SLAB):
            part = down[:, begin : begin + SLAB].astype(np.float64)
            kept += part @ part.T
        if layer.first(LATENT[side.role].gain):
            kept /= _size_of_latent(layer, side.reads)
        layer.kept[side.reads] = kept
    return kept


def _size_of_latent(layer: Layer, role: str) -> float:
    """Sum of squares of what leads into a latent."""
    return float(channel_squares(layer, layer.roles[role][0]).sum())


def product_spectra(left: Array, right: Array) -> Array:
    """Singular values of A_h^T B_g(h) from the Gram matrices of A and B.

    Args:
        left: (heads, d, d) Gram matrices of A.
        right: (groups, d, d) of B; heads is a multiple of groups, and heads of a group follow each other.

    Returns:
        (heads, d) float64, descending; NaN for a head whose matrices are not finite.
    """
    shared = np.repeat(right, len(left) // len(right), axis=0)
    result = np.full(left.shape[:2], np.nan)
    for head in np.flatnonzero(np.isfinite(left).all(axis=(1, 2)) & np.isfinite(shared).all(axis=(1, 2))):
        result[head] = gram_values(left[head], shared[head])
    return result
