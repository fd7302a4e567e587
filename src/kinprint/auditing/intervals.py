"""Is a checkpoint missing? Where most links are equally long, a link that is longer leaves one out.

Facts about steps as they are stated, no test. Where steps follow no such rule, or are not stated, nothing is said: a checkpoint
that is left out without a word shows, if at all, as a jump (`drift`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from kinprint.auditing.chain import Stage
from kinprint.auditing.findings import AuditFinding


def interval_findings(stages: Sequence[Stage]) -> list[AuditFinding]:
    """A finding for every link that is at least twice as long as most; one for all if there is none; none without a rule."""
    steps = [stage.step for stage in stages if stage.step is not None]
    if len(steps) < len(stages):
        return []
    lengths = [b - a for a, b in pairwise(steps)]
    usual, count = Counter(lengths).most_common(1)[0]
    if 2 * count <= len(lengths):
        return []
    found = []
    for length, (a, b) in zip(lengths, pairwise(stages), strict=True):
        if length >= 2 * usual:
            missing = length // usual - 1
            several = f"{missing:,} checkpoints are" if missing > 1 else "a checkpoint is"
            words = (
                f"{several} missing: most links are {usual:,} steps, this one is {length:,}; what happened there is not shown"
            )
            found.append(AuditFinding("intervals", "not-testable", f"{a.label} to {b.label}", words))
    return found or [AuditFinding("intervals", "holds", "", f"no gap in the stated steps: most links are {usual:,} long")]
