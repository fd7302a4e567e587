"""Who is a model related to? Candidates by the index vectors of a library, then the tests, corrected for all that was searched.

Retrieval looks at the same data as the tests, so the models that it leaves out were looked at too. P-values are therefore
multiplied by the number of models in the library, not by the number of candidates, and by the number of tests that apply
(Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import ArrayLike

from kinprint import methods as registry
from kinprint.comparison import ALPHA, Verdict, examine
from kinprint.comparison.verdict import decide
from kinprint.errors import KinprintError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import vectors
from kinprint.methods import Evidence
from kinprint.statistics import alpha_of_each, bonferroni
from kinprint.terms import CANDIDATES
from kinprint.words import p_value

FORMAT = "kinprint-identification/1"

Progress = Callable[[str, int, int], None]


class Searchable(Protocol):
    """What `identify` asks of a library."""

    where: str

    def __len__(self) -> int: ...

    def models(self) -> Iterable[Any]:
        """Everything in the library, each with its `digest`."""

    def get(self, text: str, /) -> Fingerprint:
        """The fingerprint of a digest."""

    def nearest(self, space: str, vector: ArrayLike, count: int) -> list[tuple[str, float]]:
        """(digest, cosine), best first."""


@dataclass(frozen=True)
class Candidate:
    """A model of the library that shall be tested.

    Attributes:
        digest: of its fingerprint.
        cosines: space -> cosine with the suspect, in the spaces in which it is among the nearest.
    """

    digest: str
    cosines: Mapping[str, float]

    @property
    def strength(self) -> float:
        """The largest cosine in standard deviations of strangers' cosines, which are 1 / sqrt(dimensions)."""
        return max((cosine * math.sqrt(DIMENSIONS[space]) for space, cosine in self.cosines.items()), default=0.0)


@dataclass(frozen=True)
class SearchFinding:
    """What the tests say about the suspect and one model of the library.

    Attributes:
        name, source, digest: of the model.
        verdict: as of a comparison, with the corrected p-value.
        log10_p: corrected for the tests and for the size of the library; None if no test applies.
        uncorrected: corrected for the tests alone, as `kinprint compare` states it.
        strongest: the test with the smallest p-value, None if none applies.
        same: how the weights are known to be identical, or None.
        cosines: as of the candidate.
    """

    name: str
    source: str | None
    digest: str
    verdict: Verdict
    log10_p: float | None
    uncorrected: float | None
    strongest: Evidence | None
    same: str | None
    cosines: Mapping[str, float]

    @property
    def is_relative(self) -> bool:
        return self.verdict in ("identical", "related")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source,
            "digest": self.digest,
            "verdict": self.verdict,
            "log10_p": self.log10_p,
            "uncorrected_log10_p": self.uncorrected,
            "test": None if self.strongest is None else self.strongest.method,
            "layer_map": None if self.strongest is None or not self.is_relative else _listed(self.strongest.layer_map),
            "same": self.same,
            "found_by": dict(self.cosines),
        }


@dataclass(frozen=True)
class Identification:
    """What `identify` found.

    Attributes:
        suspect: the fingerprint that was identified.
        library: where the library is.
        searched: number of models in it.
        findings: of every model that was tested: identical ones, then those with the smallest p-values.
        unreadable: models that could not be tested, as (digest, why).
        spaces: in which the suspect has a vector.
        alpha: the corrected p-value up to which a model is called a relative.
    """

    suspect: Fingerprint
    library: str
    searched: int
    findings: tuple[SearchFinding, ...]
    unreadable: tuple[tuple[str, str], ...]
    spaces: tuple[str, ...]
    alpha: float = ALPHA

    @property
    def relatives(self) -> tuple[SearchFinding, ...]:
        return tuple(finding for finding in self.findings if finding.is_relative)

    @property
    def verdict(self) -> Verdict:
        """The verdict of the best finding; "untestable" if no test applied to any model."""
        if self.relatives:
            return self.relatives[0].verdict
        return "no-evidence" if any(finding.log10_p is not None for finding in self.findings) else "untestable"

    def sentence(self) -> str:
        """What was found, in plain words."""
        name, relatives = self.suspect.name, self.relatives
        if not self.searched:
            return f"Nothing can be said about {name}: the library is empty."
        if not relatives:
            outcome = "no relative found" if self.verdict == "no-evidence" else "nothing can be said, no test applies"
            return f"{name}: {outcome} among {_models(self.searched)}. This does not prove that it has none there."
        best = relatives[0]
        more = f", and with {len(relatives) - 1} more of them" if len(relatives) > 1 else ""
        if best.verdict == "identical":
            others = f"; {len(relatives) - 1} more of them are relatives" if len(relatives) > 1 else ""
            return f"{name} holds the same weights as {best.name}, one of {_models(self.searched)}{others}."
        return (
            f"{name} shares initial or trained weights with {best.name} (p {p_value(best.log10_p or 0)}, corrected for "
            f"{_models(self.searched)}){more}. The tests do not say who descends from whom, nor whether it was allowed."
        )

    def unseen(self) -> tuple[str, ...]:
        """What this search could not have seen, in plain words."""
        unseen = []
        left_out = self.searched - len(self.findings) - len(self.unreadable)
        if left_out > 0:
            unseen.append(f"{_models(left_out)} not among the nearest: not tested")
        if self.unreadable:
            unseen.append(f"{_models(len(self.unreadable))} whose fingerprint cannot be read: not tested")
        if left_out > 0 and (missing := [space for space in DIMENSIONS if space not in self.spaces]):
            unseen.append(f"relatives that only vectors of {' or '.join(missing)} would find: the suspect has none")
        if self.suspect.quick is not None:
            unseen.append(
                f"heads, and some disguised copies: only {self.suspect.quick:.1%} of the suspect's bytes were read (--quick)"
            )
        else:
            unseen.append(
                "copies that were disguised and trained very much longer: `compare --deep` sees more, from both checkpoints"
            )
        return tuple(unseen)

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint identify --json` prints."""
        return {
            "format": FORMAT,
            "suspect": {
                "name": self.suspect.name,
                "source": self.suspect.provenance.get("source"),
                "digest": self.suspect.digest,
            },
            "library": self.library,
            "verdict": self.verdict,
            "sentence": self.sentence(),
            "alpha": self.alpha,
            "searched": self.searched,
            "tested": len(self.findings),
            "relatives": [finding.to_json() for finding in self.relatives],
            "others": [finding.to_json() for finding in self.findings if not finding.is_relative],
            "unreadable": [{"digest": digest, "why": why} for digest, why in self.unreadable],
            "spaces": list(self.spaces),
            "unseen": list(self.unseen()),
        }


def identify(
    suspect: Fingerprint,
    library: Searchable,
    *,
    candidates: int = CANDIDATES,
    alpha: float = ALPHA,
    progress: Progress = lambda name, done, total: None,
) -> Identification:
    """Rank the relatives of a model in a library.

    Args:
        suspect: what to identify.
        library: where to look.
        candidates: how many models to test; all of a library that has no more.
        alpha: largest p-value, corrected for the number of tests and of models in the library, that is called related.
        progress: called with the name of the model that is tested, how many have been and how many will be.

    Raises:
        LibraryError: the library cannot be read. Single models in it that cannot are named in the result.
    """
    searched, own = len(library), vectors(suspect)
    chosen = to_test(own, library, candidates, searched)
    tests = registry.tests()
    findings, unreadable = [], []
    for number, candidate in enumerate(chosen):
        try:
            reference = library.get(candidate.digest)
        except KinprintError as error:
            unreadable.append((candidate.digest, str(error)))
            continue
        progress(reference.name, number, len(chosen))
        comparison = examine((reference, suspect), alpha=alpha_of_each(alpha, searched), methods=tests)
        corrected = None if comparison.log10_p is None else bonferroni(comparison.log10_p, searched)
        findings.append(
            SearchFinding(
                name=reference.name,
                source=_source(reference),
                digest=candidate.digest,
                verdict=decide(comparison.content, corrected, alpha),
                log10_p=corrected,
                uncorrected=comparison.log10_p,
                strongest=next((item for item in comparison.tests if item.log10_p is not None), None),
                same=comparison.same,
                cosines=candidate.cosines,
            )
        )
    ranked = sorted(findings, key=lambda f: (f.verdict != "identical", f.log10_p is None, f.uncorrected or 0.0, f.name))
    return Identification(suspect, library.where, searched, tuple(ranked), tuple(unreadable), tuple(own), alpha)


def to_test(own: Mapping[str, ArrayLike], library: Searchable, count: int, size: int) -> list[Candidate]:
    """The `count` models that `retrieve` finds; all of a library whose `size` is no larger."""
    candidates = retrieve(own, library, count)
    if size > count:
        return candidates
    cosines = {candidate.digest: candidate.cosines for candidate in candidates}
    return [Candidate(model.digest, cosines.get(model.digest, {})) for model in library.models()]


def retrieve(own: Mapping[str, ArrayLike], library: Searchable, count: int) -> list[Candidate]:
    """The `count` models that are nearest to a model's vectors in any space, by `Candidate.strength`."""
    cosines: dict[str, dict[str, float]] = {}
    for space, vector in own.items():
        for digest, cosine in library.nearest(space, vector, count):
            cosines.setdefault(digest, {})[space] = cosine
    candidates = [Candidate(digest, of_spaces) for digest, of_spaces in cosines.items()]
    return sorted(candidates, key=lambda candidate: (-candidate.strength, candidate.digest))[:count]


def _source(model: Fingerprint) -> str | None:
    source = model.provenance.get("source")
    return printable(source, 2000) if isinstance(source, str) else None


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count:,} models"


def _listed(layers: Sequence[int] | None) -> list[int] | None:
    return None if layers is None else list(layers)
