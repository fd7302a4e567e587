"""A comparison seen for one part alone: the vision tower, the FFN. Its p-value stays corrected for all tests of the pair."""

from __future__ import annotations

from dataclasses import replace

from kinprint import methods as registry
from kinprint.comparison.comparison import Comparison
from kinprint.comparison.components import kind
from kinprint.comparison.parts import State, shared_parts
from kinprint.methods import Test
from kinprint.terms import Verdict

VERDICTS: dict[State, Verdict] = {
    "identical": "identical",
    "shared": "related",
    "follows": "no-evidence",
    "no-evidence": "no-evidence",
}
"""What is said of the part; one that only follows the rest is no evidence of its own."""


def one_part(comparison: Comparison, part: str) -> Comparison:
    """What a comparison says about one part of the models: its verdict, its tests.

    Args:
        comparison: of whole models.
        part: one of `kinprint.methods.PARTS`, or what a component is ("vision tower"). Of two models that are this themselves,
            all of it.
    """
    models = comparison.reference, comparison.suspect
    if {kind(model) for model in models} == {part}:
        return comparison
    known = registry.known()
    of_part = {method.name for method in known if isinstance(method, Test) and method.of == part}
    component = comparison.components.get(part)
    parts = shared_parts(models, (known, comparison.evidence), comparison.components, comparison.alpha)
    found = next((each for each in parts if each.part == part), None)
    verdict: Verdict = "untestable"
    if found is not None and (found.state == "identical" or found.log10_p is not None):
        verdict = VERDICTS[found.state]
    seen = component or comparison
    return replace(
        comparison,
        verdict=verdict,
        log10_p=None if found is None else found.log10_p,
        layer_map=seen.layer_map if verdict in ("related", "identical") else None,
        evidence=seen.evidence if component else tuple(item for item in comparison.evidence if item.method in of_part),
        content=seen.content,
        parts=() if found is None else (found,),
        components={},
        about=part,
        start=None,
    )
