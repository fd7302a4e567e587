"""Gated neurons matched by what their gates read of tokens' embeddings: do their ups have their partners' signs?

METHODS: disguised models, 2b. A gated neuron with (up, down) computes the same as one with (-up, -down), so in models trained
independently the signs of ups are independent and uniformly random (see `kinprint.correspondence.signs`). Neurons are matched
by the trait `readings.gate` alone, which has nothing to do with those signs; tested is whether `readings.up` of the matched
agree. So the test is exact, whatever the two vocabularies are; where their leading tokens are different ones it sees nothing.
It is what a quick fingerprint knows of a relabelled or rotated copy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.correspondence.neurons import originals
from kinprint.correspondence.rotation import unit
from kinprint.evidence import Evidence, Method, NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._matched import nearest, require_balanced_signs, require_free_signs, require_signs
from kinprint.methods._shares import share
from kinprint.statistics import sign_test
from kinprint.statistics.scores import decorrelation

Array = NDArray[np.float64]

RIDGE = 0.05
"""Added to the mean square of readings before they are decorrelated."""

SHARPNESS = 4
"""Power of the cosine of the gates of two neurons with which their agreement counts."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Evidence:
    """H0: given everything else, the signs of the suspect's neurons are independent and uniformly random."""
    require_free_signs(reference, suspect)
    shared = min(model.traits["readings.gate"].shape[1] for model in (reference, suspect))
    (gates, ups), (their_gates, their_ups) = (directions(model, shared) for model in (reference, suspect))
    for model, products in ((reference, gates * ups), (suspect, their_gates * their_ups)):
        require_balanced_signs([products.sum(axis=1, keepdims=True)], model.name)
    kept = originals(gates @ gates.T)  # copies share their sign: in one of the models every neuron must be there once
    gates, ups = gates[kept], ups[kept]
    left, right, _ = nearest(gates, their_gates)
    closeness = np.maximum(np.einsum("nt,nt->n", gates[left], their_gates[right]), 0.0)
    agreements = np.einsum("nt,nt->n", ups[left], their_ups[right]) * closeness**SHARPNESS
    require_signs(int(np.count_nonzero(agreements)))
    result = sign_test(agreements)
    return Evidence(
        method=METHOD.name,
        kind="test",
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        note=f"{len(left)} neurons of the first layer matched by what their gates read of {shared} tokens and tested by the "
        "signs of their ups.",
    )


def directions(model: Fingerprint, tokens: int) -> tuple[Array, Array]:
    """(neurons, tokens) unit vectors of gates and ups, decorrelated over the neurons; of neurons for which both are known.

    Scaling and decorrelation see only products of two readings of one neuron, in which its sign cancels.

    Raises:
        NotApplicable: there are too few.
    """
    gate, up = (np.asarray(model.traits[f"readings.{role}"], dtype=np.float64)[:, :tokens] for role in ("gate", "up"))
    if gate.shape != up.shape:
        raise NotApplicable(f"gates and ups of {model.name} do not fit each other")
    known = np.isfinite(gate).all(axis=1) & np.isfinite(up).all(axis=1) & gate.any(axis=1) & up.any(axis=1)
    if known.sum() < 2:
        raise NotApplicable(f"{model.name} has no gated neurons in its first layer that are finite")
    return _decorrelated(gate[known]), _decorrelated(up[known])


def _decorrelated(rows: Array) -> Array:
    rows = rows / np.maximum(np.abs(rows).max(initial=0.0), 1e-300)
    rows = rows / np.maximum(np.sqrt(np.mean(rows**2, axis=0)), 1e-12)
    rows = rows @ decorrelation(rows.T @ rows / len(rows), RIDGE)
    return unit(rows)


METHOD = Method(
    name="matched-readings",
    kind="test",
    summary="gated neurons matched by what their gates read of tokens, compared by the signs of their ups",
    needs=("readings.gate", "readings.up"),
    source="kinprint",
    null="Given everything else, the signs of the suspect's gated neurons are independent and uniformly random.",
    run=run,
    share=lambda model: share(model, ["gate", "up", "embedding"], layers=1),
    part="embeddings and the first layer's neurons",
)
