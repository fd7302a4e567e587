"""What can be said of a neuron that no disguise changes (METHODS: disguised models, 2a).

Matrices on the residual space that are blind to the labels of heads and neurons, and quadratic forms in them. Gated neurons
have a free sign: (up, down) and (-up, -down) compute the same. Descriptors do not depend on it, so that it can be tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Float64s
from kinprint.matching.device import product
from kinprint.matching.heaviest import Vectors
from kinprint.statistics.normal_scores import normal_scores

FORMS = ("up", "down", "gate", "qk-left", "qk-right", "ov-left", "ov-right")


Grams = Mapping[str, Float32s]
"""Name of a form -> (directions, directions) what one layer adds to it."""


def neuron_grams(neurons: Vectors, *, gated: bool) -> Grams:
    """What the neurons of a layer read and write, those that write more counting more.

    Args:
        neurons: in the basis.
    """
    outer = (neurons.sizes[:, 1] * neurons.sizes[:, 2])[:, None]  # what scaling up against down leaves alone
    rows = {"up": neurons.ups * outer, "down": neurons.downs * outer}
    if gated:
        rows["gate"] = neurons.reads * neurons.sizes[:, :1]
    return {name: _normalised(part) for name, part in rows.items()}


def head_grams(weights: Weights, layer: int, basis: Float32s) -> Grams:
    """What the heads of a layer read and write; nothing unless all of their weights are finite.

    Of a head the products are taken (S = W_q^T W_k, P = W_o W_v), which no map inside heads changes: S S^T, S^T S, P^T P,
    P P^T.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    heads, groups = (int(weights.facts.get(f"num_{kind}_heads") or 0) for kind in ("attention", "key_value"))
    q, k, v, o = (weights.heads(layer, role) for role in ("q", "k", "v", "o"))
    found: dict[str, Float32s] = {}
    if not heads or not groups or q is None or k is None or v is None or o is None:
        return found
    for name, left, right in (("qk", q, k), ("ov", o, v)):
        ours, theirs = len(left[0]), len(right[0])
        if ours % heads or theirs % groups or ours // heads != theirs // groups:
            continue
        if not all(np.isfinite(part).all() for part in (*left, *right) if part is not None):
            continue
        shared = _grams(*left, heads)
        shared = shared.reshape(groups, heads // groups, *shared.shape[1:]).sum(1)
        repeated = np.repeat(_grams(*right, groups), heads // groups, axis=0)
        found[name + "-left"] = _normalised(_rooted(repeated, *_within(left, basis)))
        found[name + "-right"] = _normalised(_rooted(shared, *_within(right, basis)))
    return found


def forms(layers: Sequence[Grams], *, gated: bool) -> list[Float32s | None]:
    """(directions, directions) each, in the order of FORMS: the sums over layers; None of what none has."""
    names = [name for name in FORMS if gated or name != "gate"]
    return [sum(found[1:], found[0]) if (found := [each[name] for each in layers if name in each]) else None for name in names]


def describe(
    gate: Float32s | None, up: Float32s, down: Float32s, sizes: Float32s, forms: Sequence[Float32s | None]
) -> Float64s:
    """(n, features) normal scores over the neurons of a layer.

    Args:
        gate, up, down: (n, directions) vectors in folded form and in the basis; gate None if there is none.
        sizes: (n, 3) their norms. Without a gate there is no scaling either, so the norm of up is known by itself.
        forms: matrices of `forms`; the identity is added. Features of a form that a model has not are zero.
    """
    vectors = {"gate": gate, "up": up, "down": down} if gate is not None else {"up": up, "down": down}
    even: list[NDArray[np.floating]] = [np.log(sizes[:, 1] * sizes[:, 2]), np.log(sizes[:, 0 if gate is not None else 1])]
    odd: list[NDArray[np.floating]] = []
    nothing = np.full(len(up), np.nan)
    for number, form in enumerate((None, *forms)):
        if number and form is None:
            even += [nothing] * len(vectors)
            for one, _ in combinations(vectors, 2):
                (odd if one == "gate" else even).append(nothing)
            continue
        turned = {name: rows if form is None else product(rows, form) for name, rows in vectors.items()}
        if form is not None:
            even += [np.log(np.maximum(_inner(turned[name], rows), 1e-30)) for name, rows in vectors.items()]
        for one, other in combinations(vectors, 2):
            (odd if one == "gate" else even).append(_inner(vectors[one], turned[other]))
    even += [np.abs(value) for value in odd] + [value * odd[0] for value in odd[1:]]
    return np.asarray(normal_scores(np.stack(even, axis=1)[None])[0])


def _inner(one: Float32s, other: Float32s) -> NDArray[np.floating]:
    return np.asarray(np.einsum("nd,nd->n", one, other))


def _within(side: tuple[Float32s, Float32s | None], basis: Float32s) -> tuple[Float32s, Float32s | None]:
    """Rows, or rows @ down, put into the basis."""
    rows, down = side
    return (product(rows, basis), None) if down is None else (rows, product(down, basis))


def _normalised(rows: Float32s) -> Float32s:
    """The Gram matrix of mean eigenvalue 1: every layer counts alike, whatever the size of its weights."""
    gram = product(rows.T, rows)
    return np.asarray(gram * np.float32(len(gram) / max(float(np.trace(gram)), 1e-30)))


def _grams(rows: Float32s, down: Float32s | None, blocks: int) -> Float32s:
    """(blocks, d, d) Gram matrices of equal blocks of rows, or of rows @ down."""
    cut = rows.reshape(blocks, rows.shape[0] // blocks, -1)
    return product(cut if down is None else product(cut, product(down, down.T)), cut.transpose(0, 2, 1))


def _rooted(inner: Float32s, rows: Float32s, down: Float32s | None) -> Float32s:
    """Rows R such that R^T R is the sum over blocks of rows^T inner rows, rows being rows @ down if there is that."""
    cut = rows.reshape(len(inner), inner.shape[1], -1)
    if down is not None:
        total = np.zeros((len(down), len(down)), np.float32)
        for block, weight in zip(cut, inner, strict=True):
            total += block.T @ weight @ block
        return _rooted(total[None], down, None)
    values, vectors = np.linalg.eigh(inner)
    roots = (vectors * np.sqrt(np.maximum(values, 0))[:, None]).transpose(0, 2, 1)
    return np.asarray(product(roots, cut).reshape(rows.shape))
