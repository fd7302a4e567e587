"""What the tests of experts share: the comparison of experts by label, and the groups that a router chooses among."""

from __future__ import annotations

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import Labels, as_finding, both_scores, known_layers, require_attainable, test_by_order
from kinprint.methods._method import Finding
from kinprint.methods._named import require_unnamed
from kinprint.statistics import RelabellingGroup, exchangeability_test


def compared(what: str, models: tuple[Fingerprint, Fingerprint], features: tuple[Float64s, Float64s]) -> Finding:
    """The exchangeability test of the experts of two models.

    Args:
        what: is compared, for people.
        features: of both, (layers, experts, features), NaN where there is none.
    """
    require_unnamed("experts", *models)
    layers = known_layers(*features)
    x, y = both_scores(*features)
    labels = Labels.of("experts", models, (x, y))
    ours, theirs = x.shape[1], y.shape[1]
    groups = routing_groups(models[1], theirs)
    if ours == theirs:
        structure = RelabellingGroup(groups, theirs // groups)
        require_attainable(structure, layers, "experts")
        how = f"{theirs} experts a layer" + (f" in {groups} groups" if groups < theirs else "")
        result = exchangeability_test(x, y, structure)
    elif groups < theirs:
        raise NotApplicable(f"the numbers of experts differ ({ours} and {theirs}), and groups of them are routed together")
    else:
        require_attainable(RelabellingGroup(min(ours, theirs)), layers, "experts")
        how = f"{ours} against {theirs} experts a layer, matched and tested by the order of neighbours"
        result = test_by_order(x, y)
    return as_finding(result, f"{what} in {layers} layers, {how}.", labels)


def routing_groups(model: Fingerprint, experts: int) -> int:
    """Groups that a router chooses among before it chooses experts, whose members stay together however experts are labelled;
    as many as experts if it knows no groups."""
    groups = model.stated.expert_groups or 0
    if groups <= 1:
        return experts
    if experts % groups:
        raise NotApplicable(f"{model.name} has {experts} experts, not a multiple of its {groups} groups")
    return groups
