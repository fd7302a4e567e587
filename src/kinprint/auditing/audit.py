"""All questions of an audit, asked of one chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kinprint.architectures import Weights
from kinprint.auditing.chain import Stage, require_order
from kinprint.auditing.drift import drift_findings
from kinprint.auditing.findings import Audit, AuditFinding
from kinprint.auditing.intervals import interval_findings
from kinprint.auditing.links import links
from kinprint.auditing.outsiders import outsider_findings
from kinprint.auditing.start import start_findings
from kinprint.errors import ChainError
from kinprint.fingerprints import Fingerprint
from kinprint.library.identify import Searchable
from kinprint.terms import ALPHA


def audit_chain(
    stages: Sequence[Stage],
    models: Sequence[Fingerprint],
    *,
    start: Weights | None = None,
    against: Sequence[Fingerprint] = (),
    library: Searchable | None = None,
    alpha: float = ALPHA,
    cache: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Audit:
    """What can be said for and against a chain.

    Args:
        stages: the chain as it is stated, from start to release.
        models: a fingerprint of each.
        start: the weights of the first; without them its spectra are not tested.
        against, library: models among which kin of both ends is looked for.
        alpha: largest p-value of each question, corrected for all that it asked, that counts.
        cache: use what tests said of a pair earlier, and keep what they say now.
        progress: called with the question that is asked, how many were and how many there are.

    Raises:
        ChainError: it is too short or out of order, or a checkpoint has weights that are no numbers.
        CheckpointError, LibraryError: the weights of the start, or the library, cannot be read.
    """
    require_order(stages)
    for stage, model in zip(stages, models, strict=True):
        if broken := sum(model.stated.non_finite.values()):
            problem = f"{broken:,} weights are not finite"
            raise ChainError(stage.name, problem, "no training goes on from there: check the file")
    findings: list[AuditFinding] = []
    questions: Sequence[tuple[str, Callable[[], list[AuditFinding]]]] = (
        ("links", lambda: links(stages, models, alpha, cache=cache)),
        ("start", lambda: start_findings(stages[0], models[0], start, alpha)),
        ("drift", lambda: [*drift_findings(stages, models), *interval_findings(stages)]),
        ("other models", lambda: outsider_findings(stages, models, against, library, alpha, cache=cache)),
    )
    for number, (what, ask) in enumerate(questions):
        progress(what, number, len(questions))
        findings += ask()
    apart = {finding.where for finding in findings if finding.about == "kinship" and finding.state == "broken"}
    # of a link that is broken there is nothing to say about its drift
    findings = [finding for finding in findings if finding.about != "drift" or finding.where not in apart]
    searched = len(against) + (0 if library is None else len(library))
    return Audit(tuple(stages), tuple(model.digest for model in models), tuple(findings), searched, alpha)
