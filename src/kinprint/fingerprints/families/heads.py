"""Singular values of each head's QK and VO product (GhostSpec, arXiv 2511.06390, has those of the whole layer)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part
from kinprint.fingerprints.layer import Array, Layer
from kinprint.fingerprints.pieces import blocks
from kinprint.fingerprints.spectra import gram_values


def rows(layer: Layer) -> dict[str, Array]:
    """heads.qk_spectrum, heads.vo_spectrum (heads, rank), a row for each query head; NaN if not all of it is finite."""
    found = {}
    for name, left, right in (("heads.qk_spectrum", "q", "k"), ("heads.vo_spectrum", "o", "v")):
        parts = layer.first(left, right)
        divided = heads_and_groups(layer, name, parts) if parts else None
        if parts and divided:
            found[name] = product_spectra(*(head_grams(layer, *pair) for pair in zip(parts, divided, strict=True)))
    return found


def heads_and_groups(layer: Layer, name: str, parts: list[Part]) -> tuple[int, int] | None:
    """Query heads and key-value heads, by which the rows of two parts divide; None, and a note, where they do not."""
    heads, groups = layer.facts.get("num_attention_heads"), layer.facts.get("num_key_value_heads")
    left, right = (part.shape[1 if part.role == "o" else 0] for part in parts)
    if heads and groups and not heads % groups and left * groups == right * heads and not right % groups:
        return heads, groups
    roles = " and ".join(part.role for part in parts)
    layer.notes.append(f"{name}: {roles} of layer {layer.index} do not divide into the heads declared")
    return None


def head_rows(part: Part) -> NDArray[Any]:
    """The part with rows that belong to heads: o, whose columns do, is turned."""
    array = part.read()
    return array.T if part.role == "o" else array


def head_grams(layer: Layer, part: Part, count: int) -> Array:
    """(count, d, d) float64 Gram matrices of the heads of a part, computed once a layer."""
    kept = layer.kept.get(part.role)
    if kept is None:
        kept = layer.kept[part.role] = grams(head_rows(part), count)
    return kept


def grams(matrix: NDArray[Any], count: int) -> Array:
    """(count, d, d) float64 Gram matrices of `count` equal blocks of rows of a (count * d, n) matrix."""
    return np.stack([rows @ rows.T for rows in blocks(matrix, count, np.float64)])


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
