"""MATCH: do gates and ups of two models match the same neurons? Zhu et al., Independence Tests for Language Models."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.folding import centred, folded
from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Int64s
from kinprint.errors import NotApplicable
from kinprint.matching.assignment import MOST, assignment, heaviest, paired_layers
from kinprint.matching.rotation import unit
from kinprint.methods._by_layer import by_layer
from kinprint.methods._method import Finding, Score
from kinprint.methods._tokens import embeddings, shared_tokens
from kinprint.progress import counted
from kinprint.statistics import bonferroni
from kinprint.statistics.rank_correlation import fisher, spearman

TOKENS = 1024
"""Inputs, evenly spread over the shared tokens."""

SCREEN = 128
"""Neurons by which layers are paired where depths differ, and experts where there are several."""

Experts = tuple[int | None, int | None]
"""An expert of the reference and one of the suspect; None of a dense layer."""

SAMPLES = 128
"""Layers and experts of each model whose sample is kept while layers are paired: 1 MiB each at most."""


def run(reference: Weights, suspect: Weights) -> Finding:
    """-log10 of Fisher's combination over layers of the p-values of Spearman's correlation of two matchings of the neurons.

    In every layer neurons are matched by assignment twice: by what their gates say to the same inputs, and by what their
    ups say. The paper takes hidden states on texts as inputs, which means running the models; here the inputs are the
    embeddings of the tokens that both models have, normalised as the model does before a block and centred over the tokens,
    into the weights in folded form. That too is blind to any relabelling or rotation of the residual stream.

    Beyond the paper: layers of models of unequal depth are paired by assignment on the same correlation among the heaviest
    neurons; above 4096 neurons those with the heaviest gates are matched. Of experts, the first of the model with fewer is
    compared with the one of the other that it agrees with most, and the p-value multiplied by the number of those.

    A score: inside any model gate and up depend on one another, so that in unrelated models too the two matchings may agree
    more often than chance.
    """
    ids = shared_tokens(reference, suspect)
    chosen = np.linspace(0, len(ids[0]) - 1, min(TOKENS, len(ids[0]))).round().astype(int)
    ours, theirs = (Neurons(model, _inputs(model, some[chosen])) for model, some in zip((reference, suspect), ids, strict=True))
    pairs = _pairs(ours, theirs)
    agreements = {j: _agreement(ours, theirs, i, j) for i, j in counted(pairs, "layers", len(pairs))}
    correlations, log10_p = zip(*agreements.values(), strict=True)
    return Finding(
        statistic=0.0 - fisher(log10_p),
        layers=by_layer({j: -log10 for j, (_, log10) in agreements.items()}, suspect.layers),
        parts={"spearman": float(np.mean(correlations))},
        note="The statistic is -log10 of a p-value that is not guaranteed: gates and ups of unrelated models are not "
        "independent of each other. The models were not run; shared tokens' embeddings stand for hidden states.",
    )


class Neurons:
    """What a model's gates and ups say to given inputs, (tokens, hidden)."""

    def __init__(self, model: Weights, inputs: Float32s) -> None:
        self.model, self.inputs = model, inputs
        self.samples: dict[tuple[int, int | None], tuple[Float32s, Float32s]] = {}

    def read(self, layer: int, expert: int | None, most: int = MOST) -> tuple[Float32s, Float32s]:
        """(neurons, tokens) activations of gates and of ups, each row of norm 1, of the neurons with the heaviest gates."""
        gate, up = (self.model.folded(layer, role, expert) for role in ("gate", "up"))
        if gate is None or up is None:
            raise NotApplicable(f"layer {layer} of {self.model.name} has no gated FFN")
        kept = heaviest(gate, most)
        return unit(gate[kept] @ self.inputs.T), unit(up[kept] @ self.inputs.T)

    def sample(self, layer: int, expert: int | None) -> tuple[Float32s, Float32s]:
        """As `read`, of a few neurons; kept, for every layer of the other model asks for them."""
        if (layer, expert) not in self.samples:
            if len(self.samples) >= SAMPLES:
                self.samples.clear()
            self.samples[layer, expert] = self.read(layer, expert, SCREEN)
        return self.samples[layer, expert]

    def experts(self, layer: int) -> list[int | None]:
        return self.model.experts(layer)

    def layers(self) -> list[int]:
        """Layers with an FFN."""
        with_ffn = [layer for layer in range(self.model.layers) if self.experts(layer)]
        if not with_ffn:
            raise NotApplicable(f"no layer of {self.model.name} has an FFN")
        return with_ffn


def _inputs(model: Weights, ids: Int64s) -> Float32s:
    """(tokens, hidden) float32 embeddings as they enter a block: at unit norm, then centred over the tokens."""
    x = embeddings(model, ids)
    x = unit(folded(x, None, centre=centred(model.facts)))
    return np.asarray(x - x.mean(axis=0))


def _pairs(ours: Neurons, theirs: Neurons) -> list[tuple[int, int]]:
    """(reference layer, suspect layer) of each pair to compare."""
    rows, columns = ours.layers(), theirs.layers()
    if ours.model.layers == theirs.model.layers:
        pairs = [(layer, layer) for layer in rows if layer in columns]
    else:
        paired = counted(rows, "layers paired", len(rows))
        table = [[max(_sampled(ours, theirs, i, j).values()) for j in columns] for i in paired]
        pairs = [(rows[i], columns[j]) for i, j in paired_layers(np.array(table))]
    if not pairs:
        raise NotApplicable("no layer of both models has a gated FFN")
    return pairs


def _agreement(ours: Neurons, theirs: Neurons, i: int, j: int) -> tuple[float, float]:
    """Of two layers, Spearman's correlation of the matching by gates with the matching by ups, and its log10 p."""
    tried = _experts(ours, theirs, i, j)
    if len(tried) > 1:
        sampled = _sampled(ours, theirs, i, j)
        tried.sort(key=lambda pair: -sampled[pair])
    one, other = tried[0]
    correlation, log10_p = _compared(ours.read(i, one), theirs.read(j, other))
    return correlation, bonferroni(log10_p, len(tried))


def _experts(ours: Neurons, theirs: Neurons, i: int, j: int) -> list[Experts]:
    """Which experts of two layers to compare: the first of the fewer with each of the others."""
    one, other = ours.experts(i), theirs.experts(j)
    return [(one[0], expert) for expert in other] if len(one) <= len(other) else [(expert, other[0]) for expert in one]


def _sampled(ours: Neurons, theirs: Neurons, i: int, j: int) -> dict[Experts, float]:
    """Spearman's correlation among a few neurons, of every pair of experts to compare."""
    pairs = _experts(ours, theirs, i, j)
    return {(a, b): np.nan_to_num(_compared(ours.sample(i, a), theirs.sample(j, b))[0]) for a, b in pairs}


def _compared(ours: tuple[Float32s, Float32s], theirs: tuple[Float32s, Float32s]) -> tuple[float, float]:
    by_gate, by_up = (assignment(one @ other.T) for one, other in zip(ours, theirs, strict=True))
    return spearman(by_gate, by_up)


METHOD = Score(
    name="match",
    summary="whether gates and ups of two models, matched by activation, match the same neurons (-log10 p)",
    needs=(),
    source="Zhu et al., Independence Tests for Language Models, ICML 2025 (MATCH), on embeddings instead of texts",
    known_failure="Gate and up of a neuron depend on one another in any model. Embeddings trained anew, or no shared tokens, "
    "hide descent; so do ups whose signs were flipped against their downs.",
    run=run,
    deep=True,
)
