"""kinprint verify MODEL --statement FILE"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache as once
from pathlib import Path

from kinprint import methods
from kinprint._version import __version__
from kinprint.architectures import open_model
from kinprint.cli._models import hashed, read
from kinprint.cli._progress import step_bar
from kinprint.comparison import Comparison, examine
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.statements import Statement, StatementCheck, check_statement, read_statement

Measure = Callable[[], Fingerprint]


def checked(path: Path, model: str, reference: str | None, *, cache: bool, offline: bool) -> StatementCheck:
    """What is found about a statement, with bars on stderr; models are read only as far as a check needs it.

    Raises:
        KinprintError: the statement or a model cannot be read.
    """
    statement = read_statement(path)
    suspect = _at_hand(model, "suspect", statement, cache, offline)
    if reference is None:
        return check_statement(statement, suspect)
    known = _at_hand(reference, "reference", statement, cache, offline)
    both = (reference, model), (known.fingerprint, suspect.fingerprint)
    versions = {"kinprint": __version__, "traits": TRAIT_VERSION}
    return check_statement(statement, suspect, known, lambda: _compared(statement, *both, offline), versions)


def _at_hand(model: str, side: str, statement: Statement, cache: bool, offline: bool) -> AtHand:
    @once
    def measured() -> Fingerprint:
        return read(model, quick=side in statement.quick, cache=cache, offline=offline)

    return AtHand(hashed(model, offline=offline), measured)


def _compared(statement: Statement, places: tuple[str, str], measured: tuple[Measure, Measure], offline: bool) -> Comparison:
    """Compared again, as the statement says it was done."""
    deep = [method for method in methods.known() if method.deep and method.name in statement.methods]
    scores = any(method.kind == "score" for method in deep)
    models = [open_model(place, offline=offline) for place in places] if deep else []
    weights = (models[0].weights, models[1].weights) if models else None
    with step_bar() as progress:
        return examine((measured[0](), measured[1]()), weights, alpha=statement.alpha, scores=scores, progress=progress)
