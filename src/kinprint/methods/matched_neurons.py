"""Neurons matched by what they read: do they also have the signs, or write the directions, of their partners?

METHODS: disguised models, 2b. `kinprint.correspondence` recovers which neuron is which from what neurons read;
`correspondence.signs` and `correspondence.writes` say what is tested and why it holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

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
    require_signs(sum(len(match.ours) for match in found.matches))
    tried = [Tried("signs", found, sign_agreements(found))] if gated else []
    if not _decided(tried):
        writes = write_agreements(found, TOLERANCE)
        if not writes and not gated:
            raise NotApplicable("it takes a second layer to find the rotation by which neurons of the first are compared")
        tried.append(Tried("writes", found, writes))
    if gated and not _decided(tried):
        by_tokens = correspondence(reference, suspect, by_tokens=True)
        tried.append(Tried("signs by tokens", by_tokens, sign_agreements(by_tokens)))
    best = min(tried, key=lambda one: one.result.log10_p)
    signs = next((one.agreements for one in tried if one.found is best.found and one.what != "writes"), [])
    count = sum(len(match.ours) for match in best.found.matches)
    log10_p = min(best.result.log10_p + (math.log10(len(WORDS)) if gated else 0.0), 0.0)
    return Evidence(
        method=METHOD.name,
        kind="test",
        statistic=best.result.z,
        log10_p=log10_p,
        bound=best.result.bound,
        layer_map=_layer_map(best.found),
        layers=tuple(sign_test(values).z for values in best.agreements),
        parts=_parts(best.found, tried),
        disguise=disguise(best.found, signs) if log10_p <= DECIDED else (),
        note=f"{count} neurons of {len(best.found.matches)} layers matched by what they read and tested by {WORDS[best.what]}.",
    )


@dataclass(frozen=True)
class Tried:
    """What was tested: signs, or writes, of the neurons of some matches, by layer."""

    what: str
    found: Correspondence
    agreements: list[NDArray[np.float64]]

    @cached_property
    def result(self) -> Signs:
        return sign_test(np.concatenate([*self.agreements, np.zeros(1)]))


def _decided(tried: list[Tried]) -> bool:
    return any(one.result.log10_p <= DECIDED for one in tried)


WORDS = {
    "signs": "their signs, an exact test",
    "writes": "what they write, an approximate test that takes small agreement as nothing",
    "signs by tokens": "their signs, an exact test; the first rotation was that of tokens' embeddings",
}


def _parts(found: Correspondence, tried: list[Tried]) -> dict[str, float]:
    closeness = np.concatenate([match.closeness for match in found.matches])
    return {"closeness": float(closeness.mean()), **{f"z of {one.what}": one.result.z for one in tried}}


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
