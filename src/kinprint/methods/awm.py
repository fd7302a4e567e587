"""AWM: CKA of the query and key matrices after channels are aligned, with signs, by the embeddings of shared tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s
from kinprint.errors import NotApplicable
from kinprint.matching.assignment import paired_layers
from kinprint.methods._by_layer import by_layer
from kinprint.methods._method import Finding, Score
from kinprint.methods._tokens import in_pieces, shared_tokens
from kinprint.progress import counted

ROLES = ("q", "k")

SCREEN = 1024
"""Channels by which layers are paired where depths differ: all of them in models up to this width."""


@dataclass(frozen=True)
class Channels:
    """Channels of the wider model that stand for those of the narrower, in the narrower one's order.

    Attributes:
        order: (hidden of the narrower,) index in the wider model.
        signs: (hidden of the narrower,) 1 or -1.
    """

    order: NDArray[np.int64]
    signs: Float32s

    def aligned(self, matrix: Float32s) -> Float32s:
        return np.asarray(matrix[:, self.order] * self.signs)


def run(reference: Weights, suspect: Weights) -> Finding:
    """Mean over layers of the unbiased linear CKA of W_q and of W_k over aligned channels, then over the two.

    The channels of the wider model are matched to those of the narrower by assignment on the absolute cosines of their
    embedding columns over the shared tokens; the sign of the cosine is kept. Weights are taken as stored. Layers are
    compared by number if the depths agree, else paired by assignment on the mean of the two CKAs (above 1024 channels,
    estimated from 1024 of them); with no tokens in common, channels are compared by index. All this as published. GQA needs
    no care: CKA compares channels by channels, whatever the number of heads.
    """
    a, b = (reference, suspect) if reference.hidden >= suspect.hidden else (suspect, reference)
    channels, note = _channels(a, b)
    n = b.hidden
    if n < 4:
        raise NotApplicable("the models have fewer than four channels")
    rows, columns = _layers(a), _layers(b)
    pairs = [(layer, layer) for layer in rows if layer in columns]
    if a.layers != b.layers:
        some = np.linspace(0, n - 1, min(SCREEN, n)).round().astype(int)
        pairs = [(rows[i], columns[j]) for i, j in paired_layers(_table(a, b, channels, some))]
    if not pairs:
        raise NotApplicable("no layer of both models has attention")
    alike: dict[int, tuple[float, ...]] = {}
    for i, j in counted(pairs, "layers", len(pairs)):
        cka = tuple(_cka(_gram(channels.aligned(_matrix(a, i, role))), _gram(_matrix(b, j, role))) for role in ROLES)
        alike[j if b is suspect else i] = cka
    parts = dict(zip(ROLES, np.mean(list(alike.values()), axis=0).tolist(), strict=True))
    return Finding(
        statistic=float(np.mean(list(parts.values()))),
        parts=parts,
        layers=by_layer({layer: float(np.mean(cka)) for layer, cka in alike.items()}, suspect.layers),
        note=note,
    )


def _layers(model: Weights) -> list[int]:
    """Layers with queries and keys."""
    with_attention = [layer for layer in range(model.layers) if all((layer, role, None) in model.parts for role in ROLES)]
    if not with_attention:
        raise NotApplicable(f"no layer of {model.name} has queries and keys that read the residual stream directly")
    return with_attention


def _channels(a: Weights, b: Weights) -> tuple[Channels, str]:
    """How the channels of the wider model `a` stand for those of `b`, and what to say about it."""
    try:
        ids = shared_tokens(a, b)
    except NotApplicable as reason:
        if a.hidden != b.hidden:
            raise NotApplicable(f"{reason}, and the hidden sizes differ ({a.hidden} and {b.hidden})") from None
        return Channels(np.arange(a.hidden), np.ones(a.hidden, np.float32)), f"Channels are compared by index, for {reason}."
    inner = np.zeros((a.hidden, b.hidden), np.float32)
    squares = [np.zeros(model.hidden, np.float32) for model in (a, b)]
    for x, y in in_pieces(a, b, ids):
        inner += x.T @ y
        squares = [total + (part**2).sum(axis=0) for total, part in zip(squares, (x, y), strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.nan_to_num(inner / np.sqrt(np.outer(*squares)))
    order = linear_sum_assignment(np.abs(cosines).T, maximize=True)[1]
    signs = np.sign(cosines[order, np.arange(b.hidden)])
    return Channels(order, signs), f"Channels are aligned by the embeddings of {len(ids[0])} shared tokens."


def _matrix(model: Weights, layer: int, role: str) -> Float32s:
    matrix = model.stored(layer, role)
    if matrix is None:
        raise NotApplicable(f"layer {layer} of {model.name} has no {role}")
    return matrix


def _gram(matrix: Float32s) -> Float32s:
    """(channels, channels) inner products of a matrix's columns, U-centred: the unbiased estimate of HSIC (Song et al. 2012)
    is proportional to the inner product of two such matrices."""
    gram = matrix.T @ matrix
    n = len(gram)
    np.fill_diagonal(gram, 0)
    means = gram.sum(axis=0, dtype=np.float64) / (n - 2)
    means = (means - means.sum() / (2 * (n - 1))).astype(gram.dtype)
    gram -= means[:, None]
    gram -= means
    np.fill_diagonal(gram, 0)
    return np.asarray(gram)


def _cka(x: Float32s, y: Float32s) -> float:
    """Cosine of two U-centred Gram matrices; 0 if one of them is 0."""
    scale = math.sqrt(float(np.vdot(x, x)) * float(np.vdot(y, y)))
    return float(np.vdot(x, y)) / scale if scale > 0 else 0.0


def _table(a: Weights, b: Weights, channels: Channels, some: NDArray[np.int64]) -> Float32s:
    """(layers of a, layers of b) sum over Q and K of the CKA of every pair of layers with attention, over some channels."""
    rows, columns = _layers(a), _layers(b)
    table = np.zeros((len(rows), len(columns)), np.float32)
    for role in ROLES:
        ours = [_gram(channels.aligned(_matrix(a, layer, role))[:, some]) for layer in rows]
        theirs = [_gram(_matrix(b, layer, role)[:, some]) for layer in columns]
        table += np.array([[_cka(x, y) for y in theirs] for x in ours])
    return table


METHOD = Score(
    name="awm",
    summary="CKA of W_q and W_k over channels aligned, with signs, by the embeddings of shared tokens",
    needs=(),
    source="AWM: Accurate Weight-Matrix Fingerprint for Large Language Models, ICLR 2026, arXiv 2510.06738",
    known_failure="Signed permutations of channels are undone, other rotations of the residual stream are not; embeddings "
    "trained anew leave nothing to align by.",
    run=run,
    deep=True,
)
