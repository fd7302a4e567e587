"""Is each checkpoint kin to the next? The tests of `compare`, corrected for all links of the chain.

H0 of a link: its two checkpoints were made independently of each other. With probability 1 - alpha no link between such
checkpoints is called kin, however many links there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from kinprint.auditing.chain import Stage
from kinprint.auditing.findings import AuditFinding
from kinprint.comparison import Comparison, examine
from kinprint.fingerprints import Fingerprint
from kinprint.statistics import alpha_of_each, bonferroni

Examine = Callable[[Fingerprint, Fingerprint], Comparison]


def links(stages: Sequence[Stage], models: Sequence[Fingerprint], alpha: float, *, cache: bool = False) -> list[AuditFinding]:
    """A finding for every link.

    Args:
        models: fingerprints of the stages.
        alpha: largest p-value, corrected for all links, that counts as kinship.
        cache: use what tests said of a pair earlier, and keep what they say now.
    """
    count = len(models) - 1
    level = alpha_of_each(alpha, count)

    def compared(a: Fingerprint, b: Fingerprint) -> Comparison:
        return examine((a, b), alpha=level, methods=None, cache=cache)

    verdicts = [compared(a, b) for a, b in pairwise(models)]
    broken = [each.verdict == "no-evidence" for each in verdicts]
    findings = []
    for number, (found, (a, b)) in enumerate(zip(verdicts, pairwise(stages), strict=True)):
        where = f"{a.label} to {b.label}"
        if found.verdict == "untestable":
            findings.append(AuditFinding("kinship", "not-testable", where, found.sentence()))
            continue
        # the same weights are kin without any test
        log10_p = -math.inf if found.content.weights else bonferroni(found.log10_p or 0.0, count)
        if broken[number]:
            words = _break(number, stages, models, broken, compared)
            findings.append(AuditFinding("kinship", "broken", where, words, log10_p))
        else:
            words = "the same weights" if found.content.weights else "kin"
            findings.append(AuditFinding("kinship", "holds", where, words, log10_p))
    return findings


def _break(
    number: int, stages: Sequence[Stage], models: Sequence[Fingerprint], broken: Sequence[bool], compared: Examine
) -> str:
    """What a broken link looks like: a stranger between kin, a start that is not the start, or the end of what came before."""
    for stranger in (number, number + 1):
        inside = 0 < stranger < len(models) - 1
        if inside and broken[stranger - 1] and broken[stranger]:
            around = compared(models[stranger - 1], models[stranger + 1]).verdict in ("related", "identical")
            if around:
                return f"no sign of kinship: {stages[stranger].label} is a stranger, the checkpoints around it are kin"
    if number == 0 and not any(broken[1:]):
        return f"no sign of kinship: the others do not come from {stages[0].label}"
    return f"no sign of kinship: what begins at {stages[number + 1].label} does not come from what stands before it"
