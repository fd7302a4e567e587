"""Neurons matched by what they read: do they also have the signs, or write the directions, of their partners?

METHODS: disguised models, 2b. `kinprint.matching` recovers which neuron is which from what neurons read;
`kinprint.matching.signs` and `kinprint.matching.writes` say what is tested and why it holds, `kinprint.matching.search` when
the search is given up and why that changes no p-value's meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.weights import Weights
from kinprint.errors import NotApplicable
from kinprint.matching.disguise import disguise
from kinprint.matching.search import Correspondence, correspondence
from kinprint.matching.signs import sign_agreements, signed_products
from kinprint.matching.writes import write_agreements
from kinprint.methods._by_layer import by_layer
from kinprint.methods._method import Finding, Test
from kinprint.methods._signs import require_balanced_signs, require_free_signs, require_signs
from kinprint.statistics import SignTestResult, bonferroni, sign_test, sign_z

TOLERANCE = 0.01
"""Mean cosine of what matched neurons write that is taken as nothing, since that null is approximate. Not tuned: groups of
strangers stay below a tenth of it in the mean and every pair below half of it, descendants reach thirty times as much
(docs/methods.md)."""

DECIDED = -12.0
"""log10 p of a look from which no further look is taken."""

GIVEN_UP = " The first matches stood for nothing in other layers, so the search was given up and these were tested."


@dataclass(frozen=True)
class Look:
    """One way to compare the neurons of a pair.

    Attributes:
        name: as in the parts of the evidence.
        of: what is compared: signs, which only gated neurons have free, or what neurons write.
        phrase: what was tested, for the note.
        by_tokens: True if the first rotation is that of tokens' embeddings.
    """

    name: str
    of: Literal["signs", "writes"]
    phrase: str
    by_tokens: bool = False

    def agreements(self, matching: Correspondence) -> list[NDArray[np.float64]]:
        return sign_agreements(matching) if self.of == "signs" else write_agreements(matching, TOLERANCE)


LOOKS = (
    Look("signs", "signs", "their signs, an exact test"),
    Look("writes", "writes", "what they write, an approximate test that takes small agreement as nothing"),
    Look(
        "signs by tokens",
        "signs",
        "their signs, an exact test; the first rotation was that of tokens' embeddings",
        by_tokens=True,
    ),
)
"""In the order in which they are taken; the last one, which takes another search, where the others do not decide. The p-value
is corrected for all that a pair admits. Where what neurons write decides, it is what is told: signs can be fitted."""


def looks_at(*, signs: bool) -> tuple[Look, ...]:
    """The looks that may be taken at a pair, by whether the signs of its neurons are left to chance."""
    return tuple(look for look in LOOKS if signs or look.of != "signs")


def _free_signs(matching: Correspondence, *models: Weights) -> bool:
    """Whether signs mean nothing in either model, and nobody has chosen them."""
    try:
        require_free_signs(*models)
        for model, products in zip(models, signed_products(matching), strict=True):
            require_balanced_signs(products, model.name)
    except NotApplicable:
        return False
    return True


def run(reference: Weights, suspect: Weights) -> Finding:
    """H0: given what neurons read, the suspect's signs are random, and what it writes does not depend on the reference."""
    matching = correspondence(reference, suspect)
    if not matching.reference.layers or not matching.suspect.layers:
        raise NotApplicable("one of the models has no FFN")
    gated = matching.suspect.gated
    if matching.reference.gated != gated:
        raise NotApplicable("only one of the models has gated FFNs")
    require_signs(sum(len(match.ours) for match in matching.matches))
    looks = looks_at(signs=gated and _free_signs(matching, reference, suspect))
    tried: list[Tried] = []
    for look in looks:
        if look.by_tokens and min(one.result.log10_p for one in tried) <= DECIDED:
            break
        matched = correspondence(reference, suspect, by_tokens=True) if look.by_tokens else matching
        tried.append(Tried(look, matched, look.agreements(matched)))
    if not any(one.agreements for one in tried):
        raise NotApplicable("the rotation for a layer is found from the other layers, and there is only one")
    best = min(tried, key=lambda one: (one.forgeable or one.result.log10_p > DECIDED, one.result.log10_p))
    signs = next((one.agreements for one in tried if one.matching is best.matching and one.look.of == "signs"), [])
    count = sum(len(match.ours) for match in best.matching.matches)
    log10_p = bonferroni(best.result.log10_p, len(looks))
    return Finding(
        statistic=best.result.z,
        log10_p=log10_p,
        bound=best.result.bound,
        forgeable=best.forgeable,
        layer_map=_layer_map(best.matching),
        layers=by_layer(best.layers, suspect.layers),
        parts=_parts(best.matching, tried),
        disguise=disguise(best.matching, signs) if log10_p <= DECIDED else (),
        note=f"{count} neurons of {len(best.matching.matches)} layers matched by what they read, tested by {best.look.phrase}."
        + (GIVEN_UP if best.matching.given_up else ""),
    )


@dataclass(frozen=True)
class Tried:
    """A look that was taken: what it compares of the neurons of some matches, by layer."""

    look: Look
    matching: Correspondence
    agreements: list[NDArray[np.float64]]

    @property
    def forgeable(self) -> bool:
        """Signs can be fitted; what neurons write is part of what the model computes."""
        return self.look.of == "signs"

    @property
    def layers(self) -> dict[int, float]:
        """Suspect layer -> z of its agreements."""
        pairs = zip(self.matching.matches, self.agreements, strict=True)
        return {match.suspect.layer: sign_z(values) for match, values in pairs}

    @cached_property
    def result(self) -> SignTestResult:
        return sign_test(np.concatenate([*self.agreements, np.zeros(1)]))


def _parts(matching: Correspondence, tried: list[Tried]) -> dict[str, float]:
    closeness = np.concatenate([match.closeness for match in matching.matches])
    return {"closeness": float(closeness.mean()), **{f"z of {one.look.name}": one.result.z for one in tried}}


def _layer_map(matching: Correspondence) -> tuple[int, ...] | None:
    """Where every layer of the suspect was looked at."""
    return matching.layer_map if len(matching.layer_map) == matching.suspect.weights.layers else None


METHOD = Test(
    name="matched-neurons",
    summary="neurons matched by what they read, whatever the disguise, and compared by their signs and by what they write",
    needs=(),
    source="kinprint; regression as in Shah and Peters, Annals of Statistics 2020, for neurons without a gate",
    null="Given what neurons read, the signs of the suspect's gated neurons are independent and uniformly random, and what its "
    "neurons write has nothing to do with what their partners write.",
    run=run,
    of="FFN",
    deep=True,
)
