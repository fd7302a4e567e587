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
from kinprint.statistics.normal_scores import normal_scores

FORMS = ("up", "down", "gate", "qk-left", "qk-right", "ov-left", "ov-right")


class Forms:
    """Sums over layers of what queries, keys, values, outputs, gates, ups and downs read or write.

    Of heads the products are taken (S = W_q^T W_k, P = W_o W_v), which no map inside heads changes: S S^T, S^T S, P^T P, P P^T.
    """

    def __init__(self, hidden: int) -> None:
        self._sums: dict[str, Float32s] = {}
        self._hidden = hidden

    def add(self, weights: Weights, layer: int, neurons: Mapping[str, Float32s]) -> None:
        """A layer's heads, if all of their weights are finite, and (n, hidden) vectors of its neurons by role."""
        for name, rows in neurons.items():
            self._add(name, rows)
        heads, groups = (int(weights.facts.get(f"num_{kind}_heads") or 0) for kind in ("attention", "key_value"))
        q, k, v, o = (weights.heads(layer, role) for role in ("q", "k", "v", "o"))
        if not heads or not groups or q is None or k is None or v is None or o is None:
            return
        for name, left, right in (("qk", q, k), ("ov", o, v)):
            ours, theirs = len(left[0]), len(right[0])
            if ours % heads or theirs % groups or ours // heads != theirs // groups:
                continue
            if not all(np.isfinite(part).all() for part in (*left, *right) if part is not None):
                continue
            shared = _grams(*left, heads)
            shared = shared.reshape(groups, heads // groups, *shared.shape[1:]).sum(1)
            self._add(name + "-left", _rooted(np.repeat(_grams(*right, groups), heads // groups, axis=0), *left))
            self._add(name + "-right", _rooted(shared, *right))

    def matrices(self, gated: bool) -> list[Float32s | None]:
        """(hidden, hidden) each, in the order of FORMS: every layer adds a matrix of mean eigenvalue 1; None if none has."""
        return [self._sums.get(name) for name in FORMS if gated or name != "gate"]

    def _add(self, name: str, rows: Float32s) -> None:
        """Every layer counts alike, whatever the size of its weights."""
        gram = rows.T @ rows
        gram *= self._hidden / max(float(np.trace(gram)), 1e-30)
        self._sums[name] = self._sums[name] + gram if name in self._sums else gram


def describe(
    gate: Float32s | None, up: Float32s, down: Float32s, sizes: Float32s, forms: Sequence[Float32s | None]
) -> Float64s:
    """(n, features) normal scores over the neurons of a layer.

    Args:
        gate, up, down: (n, hidden) unit vectors in folded form; gate None if there is none.
        sizes: (n, 3) their norms. Without a gate there is no scaling either, so the norm of up is known by itself.
        forms: (hidden, hidden) matrices of `Forms`; the identity is added. Vectors and forms may both be in another basis, or
            in some of its directions. Features of a form that a model has not are zero.
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
        turned = {name: rows if form is None else rows @ form for name, rows in vectors.items()}
        if form is not None:
            even += [np.log(np.maximum(_inner(turned[name], rows), 1e-30)) for name, rows in vectors.items()]
        for one, other in combinations(vectors, 2):
            (odd if one == "gate" else even).append(_inner(vectors[one], turned[other]))
    even += [np.abs(value) for value in odd] + [value * odd[0] for value in odd[1:]]
    return np.asarray(normal_scores(np.stack(even, axis=1)[None])[0])


def _inner(one: Float32s, other: Float32s) -> NDArray[np.floating]:
    return np.asarray(np.einsum("nd,nd->n", one, other))


def _grams(rows: Float32s, down: Float32s | None, blocks: int) -> Float32s:
    """(blocks, d, d) Gram matrices of equal blocks of rows, or of rows @ down."""
    cut = rows.reshape(blocks, rows.shape[0] // blocks, -1)
    return np.asarray((cut if down is None else cut @ (down @ down.T)) @ cut.transpose(0, 2, 1))


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
    return np.asarray((roots @ cut).reshape(rows.shape))
