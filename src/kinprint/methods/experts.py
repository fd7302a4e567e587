"""Experts: does expert e of the suspect resemble expert e of the reference, more than relabelled experts do?"""

from __future__ import annotations

import numpy as np

from kinprint.evidence import Evidence, Method, NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._named import require_unnamed
from kinprint.methods._units import Labels, as_evidence, both_scores, known_layers, positive, require_attainable, test_by_order
from kinprint.statistics import Structure, exchangeability_test

TRAITS = ("experts.norms", "experts.moments", "experts.profile")


def run(reference: Fingerprint, suspect: Fingerprint) -> Evidence:
    """H0: given the reference, and which experts of the suspect are neighbours, their labels are uniformly random in every
    layer."""
    require_unnamed("experts", reference, suspect)
    common = [name for name in TRAITS if name in reference.traits and name in suspect.traits]
    x, y = (np.concatenate([positive(model.traits[name]) for name in common], axis=-1) for model in (reference, suspect))
    layers = known_layers(x, y)
    x, y = both_scores(x, y)
    labels = Labels.of("experts", (reference, suspect), (x, y))
    ours, theirs = x.shape[1], y.shape[1]
    groups = routing_groups(suspect, theirs)
    if ours == theirs:
        structure = Structure(groups, theirs // groups)
        require_attainable(structure, layers, "experts")
        how = f"{theirs} experts a layer" + (f" in {groups} groups" if groups < theirs else "")
        result = exchangeability_test(x, y, structure)
    elif groups < theirs:
        raise NotApplicable(f"the numbers of experts differ ({ours} and {theirs}), and groups of them are routed together")
    else:
        require_attainable(Structure(min(ours, theirs)), layers, "experts")
        result, how = (
            test_by_order(x, y),
            f"{ours} against {theirs} experts a layer, matched and tested by the order of neighbours",
        )
    return as_evidence("experts", result, f"Router rows and weights of experts in {layers} layers, {how}.", labels)


def routing_groups(model: Fingerprint, experts: int) -> int:
    """Groups that a router chooses among before it chooses experts, whose members stay together however experts are labelled;
    as many as experts if it knows no groups."""
    groups = model.facts.get("expert_groups")
    if not isinstance(groups, int) or groups <= 1:
        return experts
    if experts % groups:
        raise NotApplicable(f"{model.name} has {experts} experts, not a multiple of its {groups} groups")
    return groups


METHOD = Method(
    name="experts",
    kind="test",
    summary="router rows, norms and moments of each expert, compared expert by expert",
    needs=("experts.norms",),
    source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
    null="The suspect's experts were labelled independently of the reference's: in every layer that is no copy of "
    "another, neighbouring experts are in uniformly random order; where a router first "
    "chooses a group, neighbouring groups are, and neighbouring experts of each.",
    run=run,
)
