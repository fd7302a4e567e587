"""CSU: are the rows of the up-projections most alike at equal index? Zhu et al., Independence Tests for Language Models."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s
from kinprint.errors import NotApplicable
from kinprint.matching.assignment import assignment, heaviest
from kinprint.matching.rotation import unit
from kinprint.methods._by_layer import by_layer
from kinprint.methods._method import Finding, Score
from kinprint.progress import counted
from kinprint.statistics.rank_correlation import fisher, spearman


def run(reference: Weights, suspect: Weights) -> Finding:
    """-log10 of Fisher's combination over layers of the p-values of Spearman's correlation of the matching with identity.

    In every layer the rows of the up-projections, as stored, are matched by assignment on their cosines. Layers are
    compared by number, as published. Beyond the paper: of unequal numbers of neurons the fewer are all matched; above 4096
    neurons the heaviest of each model are; of a layer of experts the first is compared; p-values are carried as logarithms.

    A score and no test, although its p-value would decide under the null hypothesis of the test `neurons` (labels of
    neurons are random): that test looks at the same labels with more of every neuron and finds the layers by itself, and
    each test more costs all of them a Bonferroni factor. Student's t is moreover only close to Spearman's exact tail.
    """
    if reference.hidden != suspect.hidden:
        raise NotApplicable(f"the hidden sizes differ ({reference.hidden} and {suspect.hidden})")
    if reference.layers != suspect.layers:
        raise NotApplicable(f"the depths differ ({reference.layers} and {suspect.layers}), and CSU compares layers by number")
    by_number = {}
    for layer in counted(range(reference.layers), "layers", reference.layers):
        ours, theirs = (_rows(model, layer) for model in (reference, suspect))
        if ours is not None and theirs is not None:
            match = assignment(ours @ theirs.T)
            by_number[layer] = spearman(np.arange(len(match)), match)
    if not by_number:
        raise NotApplicable("no layer of both models has an up-projection")
    correlations, log10_p = zip(*by_number.values(), strict=True)
    return Finding(
        statistic=0.0 - fisher(log10_p),
        layers=by_layer({layer: -log10_p for layer, (_, log10_p) in by_number.items()}, suspect.layers),
        parts={"spearman": float(np.mean(correlations))},
        note="The statistic is -log10 of a p-value. The test `neurons` asks the same with more power, so this score decides "
        "nothing. Permuted neurons or channels hide descent from it.",
    )


def _rows(model: Weights, layer: int) -> Float32s | None:
    """(neurons, hidden) the up-projection's rows, of norm 1, of the heaviest neurons; None if the layer has none."""
    experts = model.experts(layer)
    up = model.stored(layer, "up", experts[0]) if experts else None
    return None if up is None else unit(up[heaviest(up)])


METHOD = Score(
    name="csu",
    summary="whether rows of the up-projections, matched by cosine, keep their order (-log10 p)",
    needs=(),
    source="Zhu et al., Independence Tests for Language Models, ICML 2025 (CSU)",
    known_failure="Rows are compared in the coordinates of the residual stream and by their labels: permuted neurons, permuted "
    "channels or a rotation hide descent.",
    run=run,
    deep=True,
)
