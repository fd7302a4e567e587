"""HuRef ICS: cosine of products of weight matrices between the embeddings of the rarest shared tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kinprint.architectures.facts import of_layer
from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s
from kinprint.errors import NotApplicable
from kinprint.methods._method import Finding, Score
from kinprint.methods._tokens import embeddings, shared_tokens

TOKENS = 4096
"""The rarest tokens, as many as published."""

LAYERS = 2
"""The last layers, as many as published."""


def run(reference: Weights, suspect: Weights) -> Finding:
    """Mean Pearson correlation of X W_q^T W_k X^T, X W_v^T W_o^T X^T and X W_up^T W_down^T X^T in the last two layers.

    X (tokens, hidden) are the embeddings of the 4096 rarest tokens that both models have, weights are taken as stored, and
    biases, positions and activation functions left out, as published; every term is brought to mean 0 and deviation 1, so
    that the cosine of all terms together is the mean of their correlations. The terms are tokens by tokens, so that models
    of any width compare; the last layer is compared with the last and the one before with the one before.

    Chosen here: layers without attention or without FFN are passed over. Rarest means of the highest id in the reference, for
    published lists of frequencies cover few tokenizers. Under GQA the keys and values serve every query head of their group,
    and experts are summed, so that no order of heads or experts matters. The FFN term is the paper's: its code multiplies up
    by gate, element by element, where there is one, which no rotation of the residual stream leaves in place.
    """
    ids = [side[-TOKENS:] for side in shared_tokens(reference, suspect)]
    x, y = (embeddings(model, some) for model, some in zip((reference, suspect), ids, strict=True))
    tokens = Tokens(x.T @ x, y.T @ y, x.T @ y, x.mean(axis=0), y.mean(axis=0), len(x))
    correlations: dict[str, list[float]] = {}
    for pair in zip(*(_last(model) for model in (reference, suspect)), strict=False):
        ours, theirs = (_products(model, layer) for model, layer in zip((reference, suspect), pair, strict=True))
        for name in ours:
            correlations.setdefault(name, []).append(tokens.correlation(ours[name], theirs[name]))
    parts = {name: float(np.mean(values)) for name, values in correlations.items()}
    return Finding(
        statistic=float(np.mean(list(parts.values()))),
        parts=parts,
        note=f"From the embeddings of {len(x)} shared tokens. Unrelated models reach high values where tokens are used alike; "
        "new embeddings hide descent.",
    )


@dataclass(frozen=True)
class Tokens:
    """Embeddings X (tokens, hidden) of one model and Y of the other, as far as terms X M X^T and Y N Y^T depend on them.

    Terms have tokens^2 entries; their inner product is tr(M^T (X^T Y) N (X^T Y)^T), which needs hidden^2 only.

    Attributes:
        xx, yy, xy: X^T X, Y^T Y and X^T Y.
        x, y: means over the tokens.
        count: number of tokens.
    """

    xx: Float32s
    yy: Float32s
    xy: Float32s
    x: Float32s
    y: Float32s
    count: int

    def correlation(self, m: Float32s, n: Float32s) -> float:
        """Pearson's correlation of the entries of X M X^T and Y N Y^T.

        Raises:
            NotApplicable: a term is constant or not finite.
        """
        means = [float(mean @ matrix @ mean) for mean, matrix in ((self.x, m), (self.y, n))]
        forms = ((m, self.xx, m, 0, 0), (n, self.yy, n, 1, 1), (m, self.xy, n, 0, 1))
        aa, bb, ab = (
            float(np.sum(p * (gram @ q @ gram.T), dtype=np.float64)) - self.count**2 * means[i] * means[j]
            for p, gram, q, i, j in forms
        )
        if not (0 < aa < np.inf and 0 < bb < np.inf):
            raise NotApplicable("a term is constant or not finite")
        return ab / math.sqrt(aa * bb)


def _last(model: Weights) -> list[int]:
    """The last layers that have attention and an FFN, the last first."""
    found = [layer for layer in range(model.layers) if (layer, "q", None) in model.parts and model.experts(layer)]
    if not found:
        raise NotApplicable(f"no layer of {model.name} has an FFN and its own queries and keys")
    return found[: -LAYERS - 1 : -1]


def _products(model: Weights, layer: int) -> dict[str, Float32s]:
    """(hidden, hidden) float32 W_q^T W_k, W_v^T W_o^T and W_up^T W_down^T of a layer."""
    q, k, v, o = (_read(model, layer, role) for role in ("q", "k", "v", "o"))
    ffn = np.zeros((model.hidden, model.hidden), np.float32)
    for expert in model.experts(layer):
        ffn += _read(model, layer, "up", expert).T @ _read(model, layer, "down", expert).T
    groups = int(of_layer(model.facts, layer)["num_key_value_heads"])
    return {"qk": _grouped(q, len(k), groups).T @ k, "vo": v.T @ _grouped(o.T, len(v), groups), "ffn": ffn}


def _read(model: Weights, layer: int, role: str, expert: int | None = None) -> Float32s:
    found = model.stored(layer, role, expert)
    if found is None:
        raise NotApplicable(f"layer {layer} of {model.name} has no {role}")
    return found


def _grouped(heads: Float32s, width: int, groups: int) -> Float32s:
    """(heads * head_dim, hidden) -> (kv heads * head_dim, hidden): the sum over the query heads of each group."""
    return np.asarray(heads.reshape(groups, -1, width // groups, heads.shape[1]).sum(axis=1).reshape(width, -1))


METHOD = Score(
    name="huref",
    summary="correlation of the terms X W X^T of the last two layers, X the embeddings of the rarest shared tokens",
    needs=(),
    source="HuRef: Human-Readable Fingerprint for Large Language Models, NeurIPS 2024, arXiv 2312.04828 (ICS)",
    known_failure="Tokens play the same part in unrelated models, so that their terms correlate; embeddings trained anew hide "
    "descent.",
    run=run,
    deep=True,
)
