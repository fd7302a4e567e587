"""Gated neurons matched by what their gates read of tokens' embeddings: do their ups have their partners' signs?

METHODS: disguised models, 2b. A gated neuron with (up, down) computes the same as one with (-up, -down), so in models trained
independently the signs of ups are independent and uniformly random (see `kinprint.matching.signs`). Neurons are matched
by the trait `readings.gate` alone, which has nothing to do with those signs; tested is whether `readings.up` of the matched
agree. So the test is exact, whatever the two vocabularies are; where their leading tokens are different ones it sees nothing.
It is what a quick fingerprint knows of a relabelled or rotated copy.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.kept import kept
from kinprint.matching.nearest import nearest
from kinprint.matching.neurons import originals_among
from kinprint.matching.readings import directions
from kinprint.methods._method import Finding, Test
from kinprint.methods._shares import share
from kinprint.methods._signs import require_balanced_signs, require_free_signs, require_signs
from kinprint.statistics import sign_test

SHARPNESS = 4
"""Power of the cosine of the gates of two neurons with which their agreement counts."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given everything else, the signs of the suspect's neurons are independent and uniformly random."""
    require_free_signs(reference, suspect)
    shared = min(model.traits["readings.gate"].shape[1] for model in (reference, suspect))
    (gates, ups), (their_gates, their_ups) = (
        kept(model, ("matched-readings", shared), partial(directions, model, shared)) for model in (reference, suspect)
    )
    for model, products in ((reference, gates * ups), (suspect, their_gates * their_ups)):
        require_balanced_signs([products.sum(axis=1, keepdims=True)], model.name)
    # copies share their sign: in one of the models every neuron must be there once
    first = kept(reference, ("matched-readings originals", shared), lambda: originals_among(gates))
    gates, ups = gates[first], ups[first]
    left, right, _ = nearest(gates, their_gates)
    closeness = np.maximum(np.einsum("nt,nt->n", gates[left], their_gates[right]), 0.0)
    agreements = np.einsum("nt,nt->n", ups[left], their_ups[right]) * closeness**SHARPNESS
    require_signs(int(np.count_nonzero(agreements)))
    result = sign_test(agreements)
    return Finding(
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        note=f"{len(left)} neurons of the first layer matched by what their gates read of {shared} tokens and tested by the "
        "signs of their up projections.",
    )


METHOD = Test(
    name="matched-readings",
    summary="gated neurons matched by how their gates respond to tokens, then compared by the signs of their up vectors",
    needs=("readings.gate", "readings.up"),
    source="kinprint",
    null="Given everything else, the signs of the suspect's gated neurons are independent and uniformly random.",
    run=run,
    of="FFN",
    share=lambda model: share(model, ["gate", "up", "embedding"], layers=1),
    part="embeddings and the first layer's neurons",
)
