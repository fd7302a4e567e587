"""What a test of a model that only answers comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kinprint.blackbox.asking import Asker
from kinprint.json_numbers import finite
from kinprint.terms import BlackBoxVerdict

FORMAT = "kinprint-black-box/1"


@dataclass(frozen=True)
class BlackBoxResult:
    """One answer of one test about one suspect.

    Attributes:
        test: name of the test, as of its command.
        reference: what the suspect is held against: a model, a transcript, a deployment.
        suspect: name of the model that was asked; `where` it answered (URL), empty if it ran here.
        verdict: `descends`, `same-head`, `same-deployment`, `no-evidence`, `refuted` or `untestable`.
        sentence: the verdict in words, with what it does not mean.
        log10_p: None where the test has no p-value or could not be made.
        null: the null hypothesis, a sentence.
        statistics: name -> number or word that the verdict rests on.
        requests, tokens: what the suspect was asked in this run, a question to a model that runs here being one request;
            `kept` answers came from a file.
        cannot_show: sentences.
        notes: sentences about this run.
        evidence: digests and settings that make the run repeatable.
    """

    test: str
    reference: str
    suspect: str
    verdict: BlackBoxVerdict
    sentence: str
    null: str
    log10_p: float | None = None
    where: str = ""
    statistics: Mapping[str, float | int | str | None] = field(default_factory=dict)
    requests: int = 0
    tokens: int = 0
    kept: int = 0
    cannot_show: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        asking: Asker,
        *,
        test: str,
        reference: str,
        verdict: BlackBoxVerdict,
        sentence: str,
        null: str,
        log10_p: float | None = None,
        statistics: Mapping[str, float | int | str | None] | None = None,
        cannot_show: Sequence[str] = (),
        notes: Sequence[str] = (),
        evidence: Mapping[str, Any] | None = None,
    ) -> BlackBoxResult:
        """A result about the suspect that was asked, with what that took."""
        suspect = asking.suspect
        return cls(
            test,
            reference,
            asking.name,
            verdict,
            sentence,
            null,
            log10_p=log10_p,
            where=suspect.where,
            statistics=statistics or {},
            requests=suspect.budget.requests,
            tokens=suspect.budget.tokens,
            kept=asking.reused,
            cannot_show=tuple(cannot_show),
            notes=tuple(notes),
            evidence=evidence or {},
        )

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        numbers = {name: finite(value) if isinstance(value, float) else value for name, value in self.statistics.items()}
        return {
            "format": FORMAT,
            "test": self.test,
            "reference": self.reference,
            "suspect": {"name": self.suspect, "where": self.where},
            "verdict": self.verdict,
            "sentence": self.sentence,
            "log10_p": finite(self.log10_p),
            "null": self.null,
            "statistics": numbers,
            "asked": {"requests": self.requests, "tokens": self.tokens, "kept": self.kept},
            "cannot_show": list(self.cannot_show),
            "notes": list(self.notes),
            "evidence": dict(self.evidence),
        }
