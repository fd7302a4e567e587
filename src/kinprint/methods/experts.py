"""Experts: do the weights of expert e of the suspect resemble those of expert e of the reference, more than relabelled experts'
do?"""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import positive
from kinprint.methods._experts import compared
from kinprint.methods._method import Finding, Test


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given the reference, and which experts of the suspect are neighbours, their labels are uniformly random in every
    layer."""
    features = _features(reference), _features(suspect)
    return compared("Norms and angles of the neurons of experts", (reference, suspect), features)


def _features(model: Fingerprint) -> Float64s:
    """(layers, experts, 26) quantiles over neurons, and the size of all that the gate reads, NaN where it is not known."""
    profile = np.asarray(model.traits["experts.profile"], dtype=np.float64)
    norms = model.traits.get("experts.norms")
    size = np.full_like(profile[..., :1], np.nan) if norms is None else positive(norms[..., 1:])
    return np.concatenate([profile, size], axis=-1)


METHOD = Test(
    name="experts",
    summary="norms and angles of the neurons of each expert, compared expert by expert",
    needs=("experts.profile",),
    source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
    null="The suspect's experts were labelled independently of the reference's: in every layer that is no copy of "
    "another, neighbouring experts are in uniformly random order; where a router first "
    "chooses a group, neighbouring groups are, and neighbouring experts of each.",
    run=run,
    of="experts",
)
