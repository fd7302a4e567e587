"""Commitments to a model, read back: are they about this very model, and by when were they made?

A commitment is an in-toto statement about a model's files and its fingerprint (open), or about one file that holds such a
statement and a salt (hidden): then nothing is shown but a digest until its maker opens it. It bears no time of its own, since
its maker could write any. An authority stamps it (`time_stamps`), and of two that are stamped it can be told which was there
first. Every byte is a stranger's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kinprint.errors import CheckpointError, UnfitError, printable
from kinprint.library.declarations.at_hand import AtHand, Check, Conclusion, Described, about
from kinprint.library.declarations.in_toto import NAMESPACE, STATEMENT_TYPE, opened, predicate_type, resources, table
from kinprint.library.declarations.time_stamps import Stamp

FORMAT = "kinprint-commitment/1"
CHECK_FORMAT = "kinprint-commitment-check/1"
PREDICATE_TYPE = f"urn:uuid:{NAMESPACE}#{FORMAT}"

OPENING = "opening"
"""The name of the subject of a hidden commitment."""

SALT_BYTES = 32
"""Of a hidden commitment: nobody guesses what it is about, whatever models he has."""

REMEDY = "give one that `kinprint commit` wrote"

_BLAKE3 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Commitment:
    """What a document commits to.

    Attributes:
        path: where it lies.
        data: the bytes of its file, which a time stamp is about.
        kind: what the document is, for people.
        signed: it carries a signature, which nobody has checked.
        model: that it is about; None while it is hidden.
        opening: SHA-256 in hex of the file that opens it; None if it is open.
    """

    path: Path
    data: bytes
    kind: str
    signed: bool
    model: Described | None
    opening: str | None


@dataclass(frozen=True)
class Stamped:
    """A commitment, and its time stamp if it has one."""

    commitment: Commitment
    stamp: Stamp | None


@dataclass(frozen=True)
class CommitmentCheck:
    """What was found about a commitment and the model at hand; `model` is what it turned out to be about."""

    stamped: Stamped
    model: Described | None
    checks: tuple[Check, ...]

    @property
    def conclusion(self) -> Conclusion:
        """It holds where it is about the model at hand, and everything else that was asked holds too."""
        if any(check.status == "contradicted" for check in self.checks):
            return "contradicted"
        holding = {check.what for check in self.checks if check.status == "holds"}
        asked = {check.what for check in self.checks} - {"files", "fingerprint"}
        return "holds" if holding & {"files", "fingerprint"} and asked <= holding else "not-testable"

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint verify --statement --json` prints of a commitment."""
        commitment, stamp = self.stamped.commitment, self.stamped.stamp
        return {
            "format": CHECK_FORMAT,
            "kind": commitment.kind,
            "signature": "not checked" if commitment.signed else "none",
            "hidden": commitment.opening is not None,
            "model": None if self.model is None else self.model.name,
            "time": None if stamp is None else stamp.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "conclusion": self.conclusion,
        }


def check_commitment(
    stamped: Stamped, at_hand: AtHand, opening: Commitment | None = None, other: Stamped | None = None
) -> CommitmentCheck:
    """Check a commitment against a model at hand.

    Args:
        stamped: the commitment.
        at_hand: the model that it is said to be about.
        opening: what it hides.
        other: a commitment of somebody else; then it is asked whether this one was there first.
    """
    commitment, checks = stamped.commitment, list[Check]()
    model = commitment.model
    if commitment.opening is not None:
        checks.append(_opening(commitment, opening))
        model = opening.model if opening is not None and checks[0].status == "holds" else None
    if model is not None:
        checks += about(model, at_hand)
    if stamped.stamp is not None:
        checks.append(check_time(commitment.path, stamped.stamp))
    if other is not None:
        checks.append(_order(stamped, other))
    return CommitmentCheck(stamped, model, tuple(checks))


def _opening(commitment: Commitment, opening: Commitment | None) -> Check:
    if opening is None:
        return Check("opening", "not-checked", f"{commitment.path} is hidden: give the file that opens it (--opening)")
    if hashlib.sha256(opening.data).hexdigest() == commitment.opening:
        return Check("opening", "holds", f"{opening.path} is what {commitment.path} commits to")
    reason = f"{opening.path} is not what {commitment.path} commits to: give the file as `kinprint commit` wrote it, unchanged"
    return Check("opening", "contradicted", reason)


def check_time(document: Path, stamp: Stamp) -> Check:
    """Whether a document was there when its time stamp says."""
    said = f"it was there by {_shown(stamp.latest)}, says {stamp.authority}"
    if not stamp.covers:
        reason = f"{stamp.path} is a time stamp of another file: give that of {document}, byte for byte as it was stamped"
        return Check("time", "contradicted", reason)
    if stamp.trusted is None:
        return Check("time", "not-checked", f"{said}; signature not checked: give its root certificate (--tsa-certificate)")
    if not stamp.trusted:
        reason = f"the signature of {stamp.path} is not trusted ({stamp.problem}): give the root certificate of its authority"
        return Check("time", "contradicted", reason)
    return Check("time", "holds", f"{said} (signature checked)")


def _order(first: Stamped, second: Stamped) -> Check:
    """Whether the first was there before the second was stamped, as far as both times hold."""
    times = []
    for each in (first, second):
        path = each.commitment.path
        if each.stamp is None:
            return Check("order", "not-checked", f"{path} has no time stamp: give it (--timestamp, --against-timestamp)")
        check = check_time(path, each.stamp)
        if check.status == "contradicted":
            return Check("order", "not-checked", f"the time of {path} does not hold: {check.reason}")
        times.append((path, each.stamp))
    (ours, a), (theirs, b) = times
    word = "" if a.trusted and b.trusted else "; a signature was not checked: give the root certificates (--tsa-certificate)"
    said = f"{ours} by {_shown(a.latest)} ({a.authority}), {theirs} by {_shown(b.latest)} ({b.authority})"
    if a.latest < b.earliest:
        return Check("order", "not-checked" if word else "holds", f"it is the earlier one: {said}{word}")
    if b.latest < a.earliest:
        return Check("order", "not-checked" if word else "contradicted", f"it is the later one: {said}{word}")
    return Check("order", "not-checked", f"the two times are nearer than the authorities are accurate: {said}")


def _shown(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def is_commitment(path: Path) -> bool:
    """Whether a document is a commitment, rather than another statement.

    Raises:
        CheckpointError: it cannot be read.
    """
    return predicate_type(path, REMEDY) == PREDICATE_TYPE


def read_commitment(path: Path) -> Commitment:
    """What a document commits to.

    Raises:
        CheckpointError: it cannot be read, or is no commitment.
    """
    try:
        document = opened(path)
        statement = document.content
        if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
            raise UnfitError("no commitment to a model")
        predicate = table(statement.get("predicate"), "predicate")
        if predicate.get("format") != FORMAT:
            raise UnfitError(f"not of the format {FORMAT}; a newer kinprint may read it")
        files = resources(statement.get("subject"))
        if not files:
            raise UnfitError("a commitment to no file")
        opening = _hidden(files) if predicate.get("hidden") is True else None
        model = _described(files, predicate) if opening is None else None
    except UnfitError as unfit:
        raise CheckpointError(path, str(unfit), REMEDY) from None
    return Commitment(path, document.data, document.kind, document.signed, model, opening)


def _hidden(files: frozenset[tuple[str, str]]) -> str:
    ((name, digest), *others) = files
    if others or name != OPENING:
        raise UnfitError("a hidden commitment is to one file")
    return digest


def _described(files: frozenset[tuple[str, str]], predicate: Mapping[str, Any]) -> Described:
    fingerprint = table(predicate.get("fingerprint"), "fingerprint").get("blake3")
    if not isinstance(fingerprint, str) or not _BLAKE3.fullmatch(fingerprint):
        raise UnfitError("its fingerprint is no BLAKE3 digest in lower-case hex")
    return Described(printable(predicate.get("model")), fingerprint, files)
