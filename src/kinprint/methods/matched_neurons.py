"""Neurons matched by what they read: do they also have the signs, or write the directions, of their partners?

METHODS: disguised models, 2b. `kinprint.correspondence` recovers which neuron is which from what neurons read;
`correspondence.signs` and `correspondence.writes` say what is tested and why it holds.
"""

from __future__ import annotations

import math

import numpy as np

from kinprint.correspondence import Correspondence, correspondence, disguise, sign_agreements, write_agreements
from kinprint.evidence import Evidence, Method, NotApplicable
from kinprint.methods._matched import require_free_signs, require_signs
from kinprint.statistics import Signs, sign_test
from kinprint.weights import Weights

TOLERANCE = 0.01
"""Mean cosine of what matched neurons write that is taken as nothing, since that null is approximate. Not tuned: unrelated
models of the zoo stay below a tenth of it, descendants reach thirty times as much (docs/methods.md)."""

DECIDED = -12.0
"""log10 p of the signs below which a second opinion is not asked for."""


def run(reference: Weights, suspect: Weights) -> Evidence:
    """H0: given what neurons read, the suspect's signs are random, and what it writes does not depend on the reference."""
    require_free_signs(reference, suspect)
    found = correspondence(reference, suspect)
    if not found.reference.layers or not found.suspect.layers:
        raise NotApplicable("one of the models has no FFN")
    gated = found.suspect.gated
    if found.reference.gated != gated:
        raise NotApplicable("one of the models has gated FFNs and the other has not")
    count = sum(len(match.ours) for match in found.matches)
    require_signs(count)
    by_layer = {"signs": sign_agreements(found)} if gated else {}
    results = {name: sign_test(np.concatenate(values)) for name, values in by_layer.items()}
    if not gated or results["signs"].log10_p > DECIDED:
        by_layer["writes"] = write_agreements(found, TOLERANCE)
        if not by_layer["writes"] and not gated:
            raise NotApplicable("it takes a second layer to find the rotation by which neurons of the first are compared")
        results["writes"] = sign_test(np.concatenate(by_layer["writes"] or [np.zeros(1)]))
    name = min(results, key=lambda key: results[key].log10_p)
    best = results[name]
    log10_p = min(best.log10_p + (math.log10(2) if gated else 0.0), 0.0)
    return Evidence(
        method=METHOD.name,
        kind="test",
        statistic=best.z,
        log10_p=log10_p,
        bound=best.bound,
        layer_map=_layer_map(found),
        layers=tuple(sign_test(values).z for values in by_layer[name]),
        parts=_parts(found, results),
        disguise=disguise(found, by_layer.get("signs", [])) if log10_p <= DECIDED else (),
        note=f"{count} neurons of {len(found.matches)} layers matched by what they read and tested by {WORDS[name]}.",
    )


WORDS = {
    "signs": "their signs, an exact test",
    "writes": "what they write, an approximate test that takes small agreement as nothing",
}


def _parts(found: Correspondence, results: dict[str, Signs]) -> dict[str, float]:
    closeness = np.concatenate([match.closeness for match in found.matches])
    return {"closeness": float(closeness.mean()), **{f"z of {name}": result.z for name, result in results.items()}}


def _layer_map(found: Correspondence) -> tuple[int, ...] | None:
    """Where every layer of the suspect was looked at."""
    return found.layer_map if len(found.layer_map) == found.suspect.weights.layers else None


METHOD = Method(
    name="matched-neurons",
    kind="test",
    summary="neurons matched by what they read, whatever the disguise, and compared by their signs and by what they write",
    needs=(),
    source="kinprint; regression as in Shah and Peters, Annals of Statistics 2020, for neurons without a gate",
    null="Given what neurons read, the signs of the suspect's gated neurons are independent and uniformly random, and what its "
    "neurons write has nothing to do with what their partners write.",
    run=run,
    deep=True,
)
