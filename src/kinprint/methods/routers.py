"""Routers: does the row of expert e in the suspect's routers resemble that in the reference's, more than relabelled rows do?"""

from __future__ import annotations

from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import positive
from kinprint.methods._experts import compared
from kinprint.methods._method import Finding, Test
from kinprint.methods._shares import share


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given the reference, and which experts of the suspect are neighbours, their labels are uniformly random in every
    layer."""
    features = positive(reference.traits["experts.norms"][..., :1]), positive(suspect.traits["experts.norms"][..., :1])
    return compared("Norms of router rows", (reference, suspect), features)


METHOD = Test(
    name="routers",
    summary="norm of the router's row of each expert, compared expert by expert",
    needs=("experts.norms",),
    source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
    null="The suspect's experts were labelled independently of the reference's: in every layer that is no copy of "
    "another, neighbouring experts are in uniformly random order; where a router first "
    "chooses a group, neighbouring groups are, and neighbouring experts of each.",
    run=run,
    of="routers",
    share=lambda model: share(model, ["router"]),
    part="routers",
)
