"""kinprint verify MODEL --statement FILE"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from kinprint import methods
from kinprint._version import __version__
from kinprint.architectures import open_model
from kinprint.auditing.statements import AuditCheck, check_audit, read_audit
from kinprint.cli._models import hashed, read, say_deep
from kinprint.cli._progress import step_bar
from kinprint.comparison import Comparison, examine
from kinprint.errors import CheckpointError
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.commitments import CommitmentCheck, Stamped, check_commitment, read_commitment
from kinprint.library.declarations.statements import Statement, StatementCheck, check_statement, read_statement
from kinprint.library.declarations.time_stamps import read_stamp

Measure = Callable[[], Fingerprint]


def checked(path: Path, model: str, reference: str | None, *, cache: bool, offline: bool) -> StatementCheck:
    """What is found about a statement, with bars on stderr; models are read only as far as a check needs it.

    Raises:
        KinprintError: the statement or a model cannot be read.
    """
    statement = read_statement(path)
    suspect = _at_hand(model, "suspect" in statement.quick, cache, offline)
    if reference is None:
        return check_statement(statement, suspect)
    known = _at_hand(reference, "reference" in statement.quick, cache, offline)
    both = (reference, model), (known.fingerprint, suspect.fingerprint)
    versions = {"kinprint": __version__, "traits": TRAIT_VERSION}
    return check_statement(statement, suspect, known, lambda: _compared(statement, *both, offline), versions)


@dataclass(frozen=True)
class CommitmentOptions:
    """What is given beside a commitment: what opens it, its time stamp, another commitment with its own, and who is trusted."""

    opening: Path | None = None
    timestamp: Path | None = None
    against_commitment: Path | None = None
    against_timestamp: Path | None = None
    tsa_certificate: Path | None = None

    @property
    def any(self) -> bool:
        return self != CommitmentOptions()


def checked_commitment(path: Path, model: str, options: CommitmentOptions, *, cache: bool, offline: bool) -> CommitmentCheck:
    """What is found about a commitment; the model is measured only if its files do not tell.

    Raises:
        KinprintError: a file or the model cannot be read.
    """
    stamped = _stamped(path, options.timestamp, options)
    other = (
        None if options.against_commitment is None else _stamped(options.against_commitment, options.against_timestamp, options)
    )
    opening = None if options.opening is None else read_commitment(options.opening)
    if opening is not None and stamped.commitment.opening is None:
        raise CheckpointError(path, "hides nothing that could be opened", "leave --opening out")
    return check_commitment(stamped, _at_hand(model, False, cache, offline), opening, other)


def checked_audit(path: Path, model: str, options: CommitmentOptions, *, cache: bool, offline: bool) -> AuditCheck:
    """What is found about a document of `kinprint audit`; the model is measured only if its files do not tell.

    Raises:
        KinprintError: a file or the model cannot be read.
    """
    statement = read_audit(path)
    stamp = None if options.timestamp is None else read_stamp(options.timestamp, statement.data, options.tsa_certificate)
    return check_audit(statement, _at_hand(model, False, cache, offline), stamp)


def _stamped(path: Path, token: Path | None, options: CommitmentOptions) -> Stamped:
    commitment = read_commitment(path)
    return Stamped(commitment, None if token is None else read_stamp(token, commitment.data, options.tsa_certificate))


def _at_hand(model: str, quick: bool, cache: bool, offline: bool) -> AtHand:
    @once
    def measured() -> Fingerprint:
        return read(model, quick=quick, cache=cache, offline=offline)

    return AtHand(hashed(model, offline=offline), measured)


def _compared(statement: Statement, places: tuple[str, str], measured: tuple[Measure, Measure], offline: bool) -> Comparison:
    """Compared again, as the statement says it was done."""
    deep = [method for method in methods.known() if method.deep and method.name in statement.methods]
    scores = any(method.kind == "score" for method in deep)
    models = [open_model(place, offline=offline) for place in places] if deep else []
    weights = (models[0].weights, models[1].weights) if models else None
    if weights is not None:
        say_deep(*weights, scores=scores)
    with step_bar() as progress:
        return examine((measured[0](), measured[1]()), weights, alpha=statement.alpha, scores=scores, progress=progress)
