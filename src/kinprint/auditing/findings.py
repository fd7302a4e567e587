"""What an audit comes to: findings, each about one place of the chain, and one conclusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kinprint.auditing.chain import Stage
from kinprint.json_numbers import finite
from kinprint.words import p_value

FORMAT = "kinprint-audit/1"

State = Literal["holds", "broken", "not-testable"]
About = Literal["kinship", "start", "drift", "intervals", "outsiders"]
ABOUT: dict[About, str] = {
    "kinship": "each is kin to the next",
    "start": "the first shows no training",
    "drift": "no jump where other weights could have come in",
    "intervals": "no checkpoint is missing",
    "outsiders": "neither end is kin to another model",
}
"""What an audit asks, as statements that hold, are broken or cannot be tested."""

CANNOT_SHOW = (
    "That the training ran forwards: whoever has a release can make a chain backwards from it, by adding noise up to a random "
    "start. Checkpoints, or their fingerprints, that were committed to before the release rule that out.",
    "That the training is yours: the checkpoints of somebody else's published run are a true chain too. Compare with them "
    "(--against, --library).",
    "Where the start comes from: random numbers from a public seed are random too, and so is a start that others used.",
    "What data, code or outputs of other models the training used.",
    "That steps and dates are true: they are the owner's.",
    "What happened between two checkpoints: other weights that came in and were trained for long before the next one.",
)
"""What no audit of weights shows, whatever it finds."""


@dataclass(frozen=True)
class AuditFinding:
    """One thing that was asked, at one place of the chain.

    Attributes:
        about: which question.
        state: "holds", "broken" or "not-testable".
        where: the place: a checkpoint or a link ("step 40 to step 60"); "" of the chain as a whole.
        words: what was found there.
        log10_p: of kinship, that neighbours are strangers; of the start, that it is random; both corrected for all that was
            asked of the chain. None where no p-value belongs to it: drift and intervals are described, not tested.
    """

    about: About
    state: State
    where: str
    words: str
    log10_p: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "state": self.state,
            "where": self.where,
            "words": self.words,
            "log10_p": finite(self.log10_p),
        }


def _worst(findings: Sequence[AuditFinding]) -> State:
    states = {finding.state for finding in findings}
    return "broken" if "broken" in states else "not-testable" if "not-testable" in states else "holds"


@dataclass(frozen=True)
class Audit:
    """What `audit` found.

    Attributes:
        stages: the chain, from start to release.
        digests: of the stages' fingerprints.
        findings: everything that was asked.
        searched: models among which kin of both ends was looked for.
        alpha: largest corrected p-value that counts: of neighbours, to be called kin; of the start, to be called not random; of
            others, to be called kin of an end.
    """

    stages: Sequence[Stage]
    digests: Sequence[str]
    findings: Sequence[AuditFinding]
    searched: int
    alpha: float

    @property
    def conclusion(self) -> State:
        """The worst of all findings."""
        return _worst(self.findings)

    def of(self, about: About) -> list[AuditFinding]:
        return [finding for finding in self.findings if finding.about == about]

    def state_of(self, about: About) -> State:
        """The worst finding about one question; one that nobody asked is not testable."""
        return _worst(asked) if (asked := self.of(about)) else "not-testable"

    @property
    def weakest(self) -> float | None:
        """log10 p of the link whose kinship is least certain, corrected for all links; None where a link was not tested."""
        values = [finding.log10_p for finding in self.of("kinship")]
        known = [value for value in values if value is not None]
        return max(known) if known and len(known) == len(values) else None

    def sentence(self) -> str:
        """The conclusion in plain words, with the places that are broken."""
        if self.conclusion == "broken":
            places = list(dict.fromkeys(finding.where for finding in self.findings if finding.state == "broken"))
            return f"The chain is broken: {'; '.join(place or 'as a whole' for place in places)}."
        first, last = self.stages[0].label, self.stages[-1].label
        kin = f"All {len(self.stages)} checkpoints are kin, each to the next (each p {p_value(self.weakest)})"
        if self.conclusion == "not-testable":
            open_ = [ABOUT[about] for about in ABOUT if self.of(about) and self.state_of(about) == "not-testable"]
            return f"Nothing breaks the chain from {first} to {last}, but not all could be tested: {'; '.join(open_)}."
        outside = f", neither end is kin to any of {self.searched:,} other models" if self.searched else ""
        return f"{kin}; {first} shows no training, no link jumps{outside}."

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint audit --json` prints."""
        return {
            "format": FORMAT,
            "conclusion": self.conclusion,
            "sentence": self.sentence(),
            "alpha": self.alpha,
            "chain": [
                {**stage.to_json(), "fingerprint": digest} for stage, digest in zip(self.stages, self.digests, strict=True)
            ],
            "searched": self.searched,
            "findings": [finding.to_json() for finding in self.findings],
            "cannot_show": list(CANNOT_SHOW),
        }
