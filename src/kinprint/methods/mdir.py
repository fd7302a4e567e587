"""MDIR: the orthogonal map between two residual streams that shared tokens give, beside what a Haar-random one would be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln

from kinprint.architectures.facts import of_layer
from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Float64s
from kinprint.errors import NotApplicable
from kinprint.methods._by_layer import by_layer
from kinprint.methods._method import Finding, Score
from kinprint.methods._tokens import in_pieces, shared_tokens
from kinprint.progress import counted

ROLES = ("q", "k", "v", "o")

DIRECTIONS = 128
"""Leading directions of the outer map in which layers are paired: all layers of both models, at little cost."""

Heads = Mapping[str, Float32s]
"""By role, (groups, query heads of a group or 1, head_dim, hidden) what a layer's heads read, or write by "o"."""


def run(reference: Weights, suspect: Weights) -> Finding:
    """Mean agreement of the q, k, v and o of paired layers through the outer map; 1 for a copy in whatever disguise.

    As published: E and E' are the input embeddings of the tokens that both models have, and Ortho(E^T E'), the orthogonal
    factor of the polar decomposition, estimates the map between the residual streams (the outer map). Its trace, as it is and
    after the best assignment of channels, is held against that of a Haar-random orthogonal matrix. The matrices of attention
    are compared through the outer map, up to an inner map of each head that maximises a trace.

    Chosen here, where the public text does not say: channels are assigned with signs; where widths differ or tokens are
    fewer than channels, the factor is a partial isometry, and its trace is divided by its rank; the p-values are those of
    `log10_p`. A suspect layer's source is the reference layer with the most similar Gram matrices of q, k, v and o (without
    their mean diagonal) in the leading 128 directions of the outer map. Heads are in folded form. Key-value groups of paired
    layers are assigned on the Frobenius norms of the mapped products, query heads inside them on the nuclear norms;
    agreement is the nuclear norm divided by both Frobenius norms, each matrix with an inner map of its own.

    The p-values decide nothing: whoever may rotate a model's residual stream, which changes no output, chooses the map.
    """
    outer = outer_map(reference, suspect)
    sources = _sources(reference, suspect, outer)
    if not sources:
        raise NotApplicable("one of the models has no layer with heads whose queries, keys, values and outputs are known")
    there, inside = outer.to_suspect, outer.inside_suspect
    agreements = {
        layer: _agreement(_mapped(_heads(reference, source), there), _mapped(_heads(suspect, layer), inside))
        for layer, source in counted(sources.items(), "layers", len(sources))
    }
    parts = {role: float(np.mean([each[role] for each in agreements.values()])) for role in ROLES}
    return Finding(
        statistic=float(np.mean(list(parts.values()))),
        parts=parts | _traces(outer),
        layer_map=tuple(sources.values()) if len(sources) == suspect.layers else None,
        layers=by_layer({layer: float(np.mean(list(each.values()))) for layer, each in agreements.items()}, suspect.layers),
        note=f"From the embeddings of {outer.tokens} shared tokens. Its p-values rest on these alone and hold for Haar-random "
        "maps: that of a shared random start or embedding is none, a rotation may be one.",
    )


@dataclass(frozen=True)
class OuterMap:
    """The estimated map between two residual streams, left @ right.T.

    Attributes:
        left, right: (hidden of the reference or the suspect, rank) float64 orthonormal columns, in the order of the singular
            values of E^T E', the largest first.
        tokens: how many it was estimated from.
    """

    left: Float64s
    right: Float64s
    tokens: int

    @property
    def matrix(self) -> Float64s:
        """(hidden of the reference, hidden of the suspect)."""
        return np.asarray(self.left @ self.right.T)

    @property
    def to_suspect(self) -> Float32s:
        """What takes a row vector of the reference's stream to the suspect's."""
        return self.matrix.astype(np.float32)

    @property
    def inside_suspect(self) -> Float32s | None:
        """What keeps, of a row vector of the suspect's stream, the part that the map reaches; None if that is all of it."""
        whole = self.right.shape[0] == self.right.shape[1]
        return None if whole else np.asarray(self.right @ self.right.T, dtype=np.float32)


def outer_map(reference: Weights, suspect: Weights) -> OuterMap:
    """Ortho(E^T E') over the embeddings, as stored, of the tokens that both have. float64: E^T E' squares their condition.

    Raises:
        NotApplicable: too few tokens are shared, or embeddings are not as wide as the stream, not finite or zero.
    """
    ids = shared_tokens(reference, suspect)
    for model in (reference, suspect):
        if model.parts[None, "embedding", None].shape[1] != model.hidden:
            raise NotApplicable(f"the embedding of {model.name} is not as wide as its residual stream")
    cross = np.zeros((reference.hidden, suspect.hidden))
    for x, y in in_pieces(reference, suspect, ids):
        cross += x.T.astype(np.float64) @ y
    if not np.isfinite(cross).all():
        raise NotApplicable("the embeddings of shared tokens are not finite")
    left, values, right = np.linalg.svd(cross, full_matrices=False)
    rank = int((values > values[0] * max(cross.shape) * np.finfo(np.float64).eps).sum())
    if rank == 0:
        raise NotApplicable("the embeddings of shared tokens are zero")
    return OuterMap(left[:, :rank], right[:rank].T, len(ids[0]))


def _traces(outer: OuterMap) -> dict[str, float]:
    """The trace of the map divided by its rank, as it is and after the best assignment of channels, and their p-values."""
    entries, rank = outer.matrix, outer.left.shape[1]
    trace, magnitudes = float(np.trace(entries)), np.abs(entries)
    assigned = float(magnitudes[linear_sum_assignment(magnitudes, maximize=True)].sum())
    return {
        "trace": trace / rank,
        "trace, channels assigned": assigned / rank,
        "log10 p under Haar": log10_p(trace, rank, entries.shape, relabelled=False),
        "log10 p under Haar, channels assigned": log10_p(assigned, rank, entries.shape, relabelled=True),
    }


def log10_p(total: float, rank: int, shape: tuple[int, ...], *, relabelled: bool) -> float:
    """Upper bound of log10 of the chance that a random partial isometry has so large a trace.

    Proved for every size, not asymptotic. The null: the map is left @ right.T, both with `rank` orthonormal columns, the one
    in the wider stream uniform (Haar) and independent of the other. The moments of the trace of a Haar matrix of O(n) are at
    most those of a standard normal variable (Rains 1998: E Tr^2k counts some of the (2k - 1)!! matchings), hence
    E exp(t Tr) <= exp(t^2 / 2); a matrix of operator norm at most 1 is a mean of orthogonal ones, so that holds for its inner
    product with the Haar matrix too (convexity). Column by column, each uniform on the sphere of the d dimensions that are
    left, E exp(t sum) <= exp(t^2 / 2 * sum of 1 / d), which is smaller if the rank is well below the width. Then Chernoff.

    Args:
        total: sum of the entries, one a row and column of the narrower side.
        rank: of the map.
        shape: of the map: both widths.
        relabelled: True if the entries and their signs were chosen so that the sum is largest: the union bound over all ways.
    """
    narrow, wide = sorted(shape)
    variance = min(1.0, float((1 / np.arange(wide - rank + 1, wide + 1)).sum()))
    ways = float(gammaln(wide + 1) - gammaln(wide - narrow + 1)) + narrow * math.log(2) if relabelled else 0.0
    return min(0.0, ways - max(total, 0.0) ** 2 / (2 * variance)) / math.log(10)


def _heads(model: Weights, layer: int) -> Heads:
    """Empty where a layer has no heads, or heads that are not finite or not whole groups."""
    groups = int(of_layer(model.facts, layer).get("num_key_value_heads") or 0)
    read = {role: model.heads(layer, role) for role in ROLES}
    rows = {role: up if down is None else up @ down for role, (up, down) in ((r, found) for r, found in read.items() if found)}
    if not groups or len(rows) < len(ROLES) or not all(np.isfinite(each).all() for each in rows.values()):
        return {}
    width = {role: len(rows[like]) // groups for role, like in zip(ROLES, "kkvv", strict=True)}
    if any(not width[role] or len(rows[role]) % (groups * width[role]) for role in ROLES):
        return {}
    return {role: each.reshape(groups, -1, width[role], model.hidden) for role, each in rows.items()}


def _mapped(heads: Heads, by: Float32s | None) -> Heads:
    return heads if by is None else {role: vectors @ by for role, vectors in heads.items()}


def _sources(reference: Weights, suspect: Weights, outer: OuterMap) -> dict[int, int]:
    """Reference layer that is most similar to each suspect layer, of layers with heads."""
    ours = _grams(reference, outer.left[:, :DIRECTIONS].astype(np.float32))
    theirs = _grams(suspect, outer.right[:, :DIRECTIONS].astype(np.float32))
    return {layer: max(ours, key=lambda source: float(np.vdot(ours[source], gram))) for layer, gram in theirs.items() if ours}


def _grams(model: Weights, directions: Float32s) -> dict[int, Float32s]:
    """By layer with heads, (roles, directions, directions) Gram matrices of what its heads read and write, of mean diagonal 0
    and norm 1 each."""
    grams = {}
    for layer in range(model.layers):
        heads = _heads(model, layer)
        if heads:
            seen = [(vectors.reshape(-1, model.hidden) @ directions) for vectors in heads.values()]
            each = np.stack([rows.T @ rows for rows in seen])
            each -= each.trace(axis1=1, axis2=2)[:, None, None] / each.shape[1] * np.eye(each.shape[1], dtype=np.float32)
            grams[layer] = each / np.maximum(np.linalg.norm(each, axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return grams


def _agreement(ours: Heads, theirs: Heads) -> dict[str, float]:
    """By role, the mean agreement of the heads of two layers, once groups and the heads inside them are assigned."""
    likeness = sum(_products(ours[role][:, 0], theirs[role][:, 0]) for role in "kv")
    left, right = linear_sum_assignment(likeness, maximize=True)
    found: dict[str, list[float]] = {role: [] for role in ROLES}
    for role in ROLES:
        for i, j in zip(left, right, strict=True):
            each = _products(ours[role][i], theirs[role][j], "nuc")
            found[role].append(float(each[linear_sum_assignment(each, maximize=True)].mean()))
    return {role: float(np.mean(values)) for role, values in found.items()}


def _products(ours: Float32s, theirs: Float32s, norm: Literal["fro", "nuc"] = "fro") -> Float64s:
    """(heads, other heads) a norm of the product of each with each of the other model, divided by both Frobenius norms.

    Args:
        ours, theirs: (heads, head_dim, hidden).
        norm: "nuc", which is the largest trace after a rotation of one head, or "fro", which is cheaper.
    """
    blocks = np.moveaxis(np.tensordot(ours, theirs, axes=(2, 2)), 2, 1)
    sizes = np.multiply.outer(*(np.linalg.norm(side, axis=(1, 2)) for side in (ours, theirs)))
    norms = np.asarray(np.linalg.norm(blocks, norm, axis=(2, 3)), dtype=np.float64)
    return np.asarray(norms / np.where(sizes > 0, sizes, np.inf), dtype=np.float64)


METHOD = Score(
    name="mdir",
    summary="q, k, v and o through the orthogonal map between residual streams that shared tokens give",
    needs=(),
    source="MDIR: Matrix-Driven Identification and Reconstruction of LLM Weight Homology, arXiv 2508.06309v3",
    known_failure="Its p-values rest on embeddings alone and take their map for Haar-random: a shared random start or "
    "embedding, or a rotation that no output shows, gives strangers any p, and a rotation takes a copy's away. Embeddings "
    "trained anew leave no map.",
    run=run,
    deep=True,
)
