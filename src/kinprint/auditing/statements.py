"""Audits read back: is this model the end of the chain that a document says was audited, and does it say what it found?

`kinprint audit --in-toto` writes a statement about the release's files. Every byte of what is read here is a stranger's. It is
asked what can be asked with the release alone: the digests of the model at hand, and whether the conclusion follows from the
findings beside it. That anybody looked at the checkpoints it does not show: for that there are signatures, and the checkpoints
themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from kinprint.auditing.chain import MOST, Stage, require_order
from kinprint.auditing.findings import ABOUT, FORMAT, About, Audit, AuditFinding, State
from kinprint.errors import ChainError, CheckpointError, UnfitError, printable
from kinprint.library.declarations.at_hand import AtHand, Check, Conclusion, Described, about, same_files
from kinprint.library.declarations.commitments import check_time
from kinprint.library.declarations.in_toto import (
    NAMESPACE,
    STATEMENT_TYPE,
    Document,
    opened,
    predicate_type,
    resources,
    table,
    tables,
)
from kinprint.library.declarations.time_stamps import Stamp
from kinprint.terms import ALPHA

PREDICATE_TYPE = f"urn:uuid:{NAMESPACE}#{FORMAT}"
CHECK_FORMAT = "kinprint-audit-check/1"
REMEDY = "give one that `kinprint audit --in-toto` wrote"

MAX_FINDINGS = 100_000
_BLAKE3 = re.compile(r"[0-9a-f]{64}")
STATES: tuple[State, ...] = ("holds", "broken", "not-testable")


@dataclass(frozen=True)
class AuditStatement:
    """What a document says of an audit.

    Attributes:
        kind: what the document is, for people.
        signed: it carries a signature, which nobody has checked.
        conclusion: as stated.
        audit: what it says was asked and found.
        checkpoints: every checkpoint of the chain as it describes them, the release last.
        made: when, as stated; empty if it is not.
    """

    path: Path
    data: bytes
    kind: str
    signed: bool
    conclusion: str
    audit: Audit
    checkpoints: tuple[Described, ...]
    made: str = ""


@dataclass(frozen=True)
class AuditCheck:
    """What was found about such a document and the model at hand."""

    statement: AuditStatement
    stamp: Stamp | None
    checks: tuple[Check, ...]

    @property
    def conclusion(self) -> Conclusion:
        """It holds where the model at hand is the end of the chain, and everything else that was asked holds too. What the
        audit came to is another matter: a document that says truly that a chain is broken holds."""
        if any(check.status == "contradicted" for check in self.checks):
            return "contradicted"
        holding = {check.what for check in self.checks if check.status == "holds"}
        asked = {check.what for check in self.checks} - {"files", "fingerprint"}
        return "holds" if holding & {"files", "fingerprint"} and asked <= holding else "not-testable"

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint verify --statement --json` prints of an audit."""
        statement, audit = self.statement, self.statement.audit.to_json()
        return {
            "format": CHECK_FORMAT,
            "kind": statement.kind,
            "signature": "not checked" if statement.signed else "none",
            "model": statement.checkpoints[-1].name,
            "audit": {key: audit[key] for key in ("conclusion", "sentence", "alpha", "chain", "searched", "findings")},
            "made": statement.made or None,
            "time": None if self.stamp is None else self.stamp.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "conclusion": self.conclusion,
        }


def check_audit(statement: AuditStatement, model: AtHand, stamp: Stamp | None = None) -> AuditCheck:
    """Check a document against a model at hand.

    Args:
        statement: as read.
        model: that is said to be the end of the chain.
        stamp: the document's time stamp.
    """
    checks = [*_end(statement, model), _order(statement), _follows(statement)]
    if stamp is not None:
        checks.append(check_time(statement.path, stamp))
    return AuditCheck(statement, stamp, tuple(checks))


def _end(statement: AuditStatement, model: AtHand) -> list[Check]:
    """Whether the model is the end of the chain; if not, whether it is another checkpoint of it."""
    *before, release = statement.checkpoints
    checks = about(release, model)
    if any(check.status == "holds" for check in checks):
        return checks
    for number, (stage, described) in enumerate(zip(statement.audit.stages, before, strict=False), 1):
        if same_files(described, model) or model.fingerprint().digest == described.fingerprint:
            reason = f"it is checkpoint {number} of {len(statement.checkpoints)} of the chain ({stage.label}), not its end"
            return [Check(checks[-1].what, "contradicted", reason)]
    return checks


def _order(statement: AuditStatement) -> Check:
    """Whether steps and dates, where they are stated, go forwards."""
    stages = statement.audit.stages
    try:
        require_order(stages)
    except ChainError as error:
        return Check("chain", "contradicted", f"{error.subject}: {error.problem}")
    told = [stage for stage in stages if stage.date]
    dates = f", dated {told[0].date} to {told[-1].date}" if told else ", without dates"
    return Check("chain", "holds", f"{len(stages)} checkpoints in order{dates}; steps and dates are its owner's")


def _follows(statement: AuditStatement) -> Check:
    """Whether the conclusion follows from what is said to have been found."""
    audit = statement.audit
    wrong = _missing(audit) + [
        f"{ABOUT[finding.about]}: {finding.where} is said to be {finding.state}, against its p-value"
        for finding in audit.findings
        if not _fits(finding, audit.alpha)
    ]
    if audit.conclusion != statement.conclusion:
        wrong.append(f"it says {statement.conclusion}, but its findings say {audit.conclusion}")
    if wrong:
        return Check("conclusion", "contradicted", "; ".join(wrong[:3]))
    if audit.alpha > ALPHA:
        reason = f"it counts p-values up to {audit.alpha:g}; kinprint asks for {ALPHA:g} by default"
        return Check("conclusion", "not-checked", reason)
    reason = f"{audit.conclusion} follows from its {len(audit.findings):,} findings; that they were measured it cannot show"
    return Check("conclusion", "holds", reason)


def _missing(audit: Audit) -> list[str]:
    """Questions that every audit asks and that this one does not answer."""
    links = [f"{a.label} to {b.label}" for a, b in pairwise(audit.stages)]
    wrong = (
        [] if [finding.where for finding in audit.of("kinship")] == links else ["not every link has a finding about kinship"]
    )
    same = [finding.where for finding in audit.of("kinship") if finding.log10_p == -math.inf]
    looked_at = {finding.where for finding in audit.of("drift")}
    wrong += [
        f"{where} has no p-value, and nothing else says that its weights are the same"
        for where in same
        if where not in looked_at
    ]
    apart = any(finding.state == "broken" for finding in audit.of("kinship"))
    asked: dict[About, bool] = {"start": True, "drift": not apart, "outsiders": audit.searched > 0}
    return wrong + [
        f"nothing is said about this: {ABOUT[each]}" for each, always in asked.items() if always and not audit.of(each)
    ]


def _fits(finding: AuditFinding, alpha: float) -> bool:
    """Whether the state of a finding is what its p-value makes of it."""
    if finding.log10_p is None or finding.about in ("drift", "intervals") or finding.state == "not-testable":
        return True
    limit = math.log10(alpha)
    small = finding.log10_p <= limit or math.isclose(finding.log10_p, limit, abs_tol=1e-6)
    return small == ((finding.state == "holds") == (finding.about == "kinship"))


# --- reading


def is_audit(path: Path) -> bool:
    """Whether a document states an audit, rather than something else.

    Raises:
        CheckpointError: it cannot be read.
    """
    return predicate_type(path, REMEDY) == PREDICATE_TYPE


def read_audit(path: Path) -> AuditStatement:
    """What a document says of an audit.

    Raises:
        CheckpointError: it cannot be read, or states no audit of kinprint.
    """
    try:
        return _read(path, opened(path))
    except UnfitError as unfit:
        raise CheckpointError(path, str(unfit), REMEDY) from None


def _read(path: Path, document: Document) -> AuditStatement:
    content = document.content
    if content.get("_type") != STATEMENT_TYPE or content.get("predicateType") != PREDICATE_TYPE:
        raise UnfitError("no statement about an audit")
    predicate = table(content.get("predicate"), "predicate")
    stated = table(predicate.get("audit"), "audit")
    if stated.get("format") != FORMAT or stated.get("conclusion") not in STATES:
        raise UnfitError(f"not of the format {FORMAT}, or without a conclusion; a newer kinprint may read it")
    chain, findings = tables(stated.get("chain"), "chain"), stated.get("findings")
    if not 2 <= len(chain) <= MOST or not isinstance(findings, list) or len(findings) > MAX_FINDINGS:
        raise UnfitError("without a chain of two checkpoints or more, and what was found about it")
    alpha = _number(stated.get("alpha"))
    if alpha is None or not 0 < alpha < 1:
        raise UnfitError("without a level of significance")
    stages = [_stage(each) for each in chain]
    described = tuple(_described(stage, each) for stage, each in zip(stages, chain, strict=True))
    if resources(content.get("subject")) != resources(chain[-1].get("files")):
        raise UnfitError("it is about other files than those of the end of its chain")
    searched = stated.get("searched")
    audit = Audit(
        stages,
        [each.fingerprint for each in described],
        [_finding(each) for each in findings],
        searched if type(searched) is int and searched >= 0 else 0,
        alpha,
    )
    made = predicate.get("made")
    return AuditStatement(
        path,
        document.data,
        document.kind,
        document.signed,
        str(stated["conclusion"]),
        audit,
        described,
        printable(made, 40) if isinstance(made, str) else "",
    )


def _stage(row: Mapping[str, Any]) -> Stage:
    name, step, day = row.get("name"), row.get("step"), row.get("date")
    if not isinstance(name, str) or (step is not None and (type(step) is not int or step < 0)):
        raise UnfitError("a checkpoint of its chain has no name, or a step that is none")
    return Stage("", printable(name, 100), step, _day(day))


def _day(stated: object) -> str:
    if stated is None:
        return ""
    try:
        return date.fromisoformat(str(stated)).isoformat()
    except ValueError:
        raise UnfitError(f"{printable(stated, 40)} stands where a date is expected") from None


def _described(stage: Stage, row: Mapping[str, Any]) -> Described:
    """A checkpoint; where it was audited from its fingerprint, the digest of a `.kinprint` file is none of the model's."""
    digest = row.get("fingerprint")
    if not isinstance(digest, str) or not _BLAKE3.fullmatch(digest):
        raise UnfitError("the fingerprint of a checkpoint is no BLAKE3 digest in lower-case hex")
    files = resources(row.get("files"))
    from_fingerprint = bool(files) and all(name.endswith(".kinprint") for name, _ in files)
    return Described(stage.name, digest, frozenset() if from_fingerprint else files)


def _finding(row: object) -> AuditFinding:
    found = table(row, "finding")
    asked = next((each for each in ABOUT if each == found.get("about")), None)
    state = next((each for each in STATES if each == found.get("state")), None)
    where, words, log10_p = found.get("where"), found.get("words"), _number(found.get("log10_p"))
    if asked is None or state is None or not isinstance(where, str) or not isinstance(words, str):
        raise UnfitError("a finding without a question, a state or words")
    if log10_p is not None and log10_p > 0:
        raise UnfitError("with a probability above one")
    if log10_p is None and asked == "kinship" and state == "holds":
        log10_p = -math.inf  # the same weights: JSON has no number for that
    return AuditFinding(asked, state, printable(where, 300), printable(words, 600), log10_p)


def _number(value: object) -> float | None:
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise UnfitError(f"{printable(value, 60)} stands where a number is expected")
    return number
