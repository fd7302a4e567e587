"""Is the start, or the release, kin to a model that is not of the chain?

H0: an end and the other model were made independently. P-values are corrected for both ends and for all models that were named
or that the library holds, tested or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kinprint.auditing.chain import Stage
from kinprint.auditing.findings import AuditFinding
from kinprint.comparison import examine
from kinprint.fingerprints import Fingerprint
from kinprint.library.identify import Searchable, identify
from kinprint.statistics import alpha_of_each, bonferroni

ENDS = 2


def outsider_findings(
    stages: Sequence[Stage],
    models: Sequence[Fingerprint],
    against: Sequence[Fingerprint],
    library: Searchable | None,
    alpha: float,
    *,
    cache: bool = False,
) -> list[AuditFinding]:
    """A finding for every model that an end is kin to; one for both ends if there is none.

    Checkpoints of the chain itself, met among the others, do not count: a library may hold the release.

    Args:
        models: fingerprints of the stages.
        against: fingerprints of models that are named one by one.
        library: where to look besides.
        alpha: largest p-value, corrected for all that was searched, that counts as kinship.
        cache: use what tests said of a pair earlier, and keep what they say now.

    Raises:
        LibraryError: the library cannot be read.
    """
    searched = len(against) + (0 if library is None else len(library))
    if not searched:
        return []
    own, found = {content for model in models for content in (model.digest, model.stated.content) if content}, []
    for stage, model in ((stages[0], models[0]), (stages[-1], models[-1])):
        for name, digest, log10_p in (
            *_named(model, against, alpha, searched, cache),
            *_held(model, library, alpha, searched, cache),
        ):
            if digest in own:
                continue
            words = f"kin to {name}, which is not of the chain; which of the two was first, dates must say"
            found.append(AuditFinding("outsiders", "broken", stage.label, words, log10_p))
    if found:
        return found
    words = f"{stages[0].label} and {stages[-1].label} are not found to be kin to any of {searched:,} models"
    return [AuditFinding("outsiders", "holds", "", words)]


_Kin = Iterator[tuple[str, str, float | None]]
"""Name, digest of weights or fingerprint, corrected log10 p (None where the weights are the same) of everything kin."""


def _named(model: Fingerprint, against: Sequence[Fingerprint], alpha: float, searched: int, cache: bool) -> _Kin:
    for other in against:
        found = examine((other, model), alpha=alpha_of_each(alpha, ENDS * searched), cache=cache)
        if found.verdict in ("related", "identical"):
            p = None if found.content.weights or found.log10_p is None else bonferroni(found.log10_p, ENDS * searched)
            yield other.name, other.stated.content or other.digest, p


def _held(model: Fingerprint, library: Searchable | None, alpha: float, searched: int, cache: bool) -> _Kin:
    if library is None or not len(library):
        return
    tries = ENDS * searched
    level = alpha_of_each(alpha, tries) * len(library)  # `identify` corrects for the models of the library
    for each in identify(model, library, alpha=level, test_all=True, cache=cache).relatives:
        known = library.contents([each.digest])
        p = None if each.uncorrected is None else bonferroni(each.uncorrected, tries)
        yield each.name, known.get(each.digest, each.digest), p
