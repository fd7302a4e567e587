"""MATCH: do gates and ups of two models match the same neurons? Zhu et al., Independence Tests for Language Models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kinprint.evidence import Evidence, Method, NotApplicable
from kinprint.methods._matching import assignment, fisher, heaviest, paired_layers, spearman, unit_rows
from kinprint.methods._tokens import Ids, embeddings, shared_tokens
from kinprint.weights import Array, Weights

TOKENS = 1024
"""Inputs, evenly spread over the shared tokens."""

SCREEN = 128
"""Neurons of a layer by which layers are paired where depths differ."""


def run(reference: Weights, suspect: Weights) -> Evidence:
    """-log10 of Fisher's combination over layers of the p-values of Spearman's correlation of two matchings of the neurons.

    In every layer neurons are matched by assignment twice: by what their gates say to the same inputs, and by what their
    ups say. The paper takes hidden states on texts as inputs, which means running the models; here the inputs are the
    embeddings of the tokens that both models have, normalised as the model does before a block and centred over the tokens,
    into the weights in canonical form. That too is blind to any relabelling or rotation of the residual stream.

    Beyond the paper: layers of models of unequal depth are paired by assignment on the same correlation among the heaviest
    neurons; above 4096 neurons those with the heaviest gates are matched; of a layer of experts the first is compared.

    A score: inside any model gate and up depend on one another, so that in unrelated models too the two matchings may agree
    more often than chance.
    """
    ids = shared_tokens(reference, suspect)
    chosen = np.linspace(0, len(ids[0]) - 1, min(TOKENS, len(ids[0]))).round().astype(int)
    ours, theirs = (Neurons(model, _inputs(model, some[chosen])) for model, some in zip((reference, suspect), ids, strict=True))
    pairs = _pairs(ours, theirs)
    found = {j: _agreement(ours.read(i), theirs.read(j)) for i, j in pairs}
    correlations, log10_p = zip(*found.values(), strict=True)
    return Evidence(
        METHOD.name,
        METHOD.kind,
        statistic=-fisher(log10_p),
        layers=tuple(-found[j][1] if j in found else math.nan for j in range(suspect.layers)),
        parts={"spearman": float(np.mean(correlations))},
        note="The statistic is -log10 of a p-value that is not guaranteed: gates and ups of unrelated models are not "
        "independent of each other. The models were not run; shared tokens' embeddings stand for hidden states.",
    )


@dataclass(frozen=True)
class Neurons:
    """What a model's gates and ups say to given inputs.

    Attributes:
        inputs: (tokens, hidden) float32.
    """

    model: Weights
    inputs: Array

    def read(self, layer: int, most: int | None = None) -> tuple[Array, Array]:
        """(neurons, tokens) activations of gates and of ups of one layer, each row of norm 1."""
        experts = self.model.experts(layer)
        gate, up = (self.model.canonical(layer, role, experts[0]) if experts else None for role in ("gate", "up"))
        if gate is None or up is None:
            raise NotApplicable(f"layer {layer} of {self.model.name} has no gated FFN")
        kept = heaviest(gate) if most is None else heaviest(gate, most)
        return unit_rows(gate[kept] @ self.inputs.T), unit_rows(up[kept] @ self.inputs.T)


def _inputs(model: Weights, ids: Ids) -> Array:
    """(tokens, hidden) float32 embeddings as they enter a block: at unit norm, then centred over the tokens."""
    x = embeddings(model, ids)
    if model.facts.get("norm") == "layer":
        x = x - x.mean(axis=1, keepdims=True)
    x = unit_rows(x)
    return np.asarray(x - x.mean(axis=0))


def _pairs(ours: Neurons, theirs: Neurons) -> list[tuple[int, int]]:
    """(reference layer, suspect layer) of each pair to compare."""
    depths = ours.model.layers, theirs.model.layers
    if depths[0] == depths[1]:
        return [(layer, layer) for layer in range(depths[0])]
    samples = [[side.read(layer, SCREEN) for layer in range(depth)] for side, depth in zip((ours, theirs), depths, strict=True)]
    return paired_layers(np.array([[_agreement(one, other)[0] for other in samples[1]] for one in samples[0]]))


def _agreement(ours: tuple[Array, Array], theirs: tuple[Array, Array]) -> tuple[float, float]:
    """Spearman's correlation of the matching by gates with the matching by ups, and its log10 p."""
    by_gate, by_up = (assignment(one @ other.T) for one, other in zip(ours, theirs, strict=True))
    return spearman(by_gate, by_up)


METHOD = Method(
    name="match",
    kind="score",
    summary="whether gates and ups of two models, matched by activation, match the same neurons (-log10 p)",
    needs=(),
    source="Zhu et al., Independence Tests for Language Models, ICML 2025 (MATCH), on embeddings instead of texts",
    null="Gate and up of a neuron depend on one another in any model. Embeddings trained anew, or no shared tokens, hide "
    "descent; so do ups whose signs were flipped against their downs.",
    run=run,
    deep=True,
)
