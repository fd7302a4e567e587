"""Who is a model related to? Candidates by the index vectors of a library, then the tests, corrected for all that was searched.

Retrieval looks at the same data as the tests, so the models that it leaves out were looked at too. P-values are therefore
multiplied by the number of models in the library, not by the number of candidates, and by the number of tests that apply
(Bonferroni).

A candidate that holds the suspect's weights needs no test, and with it the question is answered: the other candidates are left
out, unless all shall be tested. That changes no p-value, since the factor stays the number of models in the library. It only
leaves findings out, and candidates are tested in the order of their likeliness, so that it leaves out the least. If it bears
the suspect's name as well, it is the suspect itself and answers nothing: the search goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

from numpy.typing import ArrayLike

from kinprint import methods as registry
from kinprint.comparison import ALPHA, Comparison, Verdict, examine
from kinprint.comparison.comparison import FABRICATION
from kinprint.comparison.identity import sameness
from kinprint.comparison.in_order import in_order
from kinprint.comparison.one_part import one_part
from kinprint.comparison.parts import SharedPart
from kinprint.comparison.parts import sentence as sentence_of_parts
from kinprint.errors import KinprintError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.library.declarations.declaration import same_name
from kinprint.library.descent.arrows import MADE_UP, Arrow, arrows
from kinprint.library.descent.copies import rule
from kinprint.library.parts import Query, queries
from kinprint.library.spaces import DIMENSIONS, dimensions
from kinprint.methods import Evidence
from kinprint.notebook import Shown
from kinprint.statistics import alpha_of_each, bonferroni
from kinprint.terms import CANDIDATES, COMPONENTS
from kinprint.words import chance

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

    def contents(self, digests: Iterable[str], /) -> Mapping[str, str]:
        """Digest of a fingerprint -> digest of all weights (`Facts.content`), of those that state it; none is loaded."""

    def nearest(self, space: str, vector: ArrayLike, count: int, part: str = "") -> list[tuple[str, float]]:
        """(digest, cosine), best first; of a component of the models, where one is named."""


@dataclass(frozen=True)
class Candidate:
    """A model of the library that shall be tested.

    Attributes:
        digest: of its fingerprint.
        cosines: space, or "forms of the vision tower" -> cosine with the suspect, where it is among the nearest.
    """

    digest: str
    cosines: Mapping[str, float]

    @property
    def strength(self) -> float:
        """The largest cosine in standard deviations of strangers' cosines, which are 1 / sqrt(dimensions)."""
        return max((cosine * math.sqrt(dimensions(label)) for label, cosine in self.cosines.items()), default=0.0)


@dataclass(frozen=True)
class SearchFinding:
    """What the tests say about the suspect and one model of the library.

    Attributes:
        name, source, digest: of the model.
        verdict: as of a comparison, with the corrected p-value.
        log10_p: corrected for the tests and for the size of the library; None if no test applies, or none was needed.
        uncorrected: corrected for the tests alone, as `kinprint compare` states it.
        strongest: the test with the smallest p-value, None if none applies, or none was needed.
        of: the component that this test is of; "" for the language model.
        same: how the weights are known to be identical, or None.
        cosines: as of the candidate.
        parts: which parts are shared, with corrected p-values; () unless related.
        made: whether one of the two may be made from the other's weights by a step that cannot be undone
            (`kinprint.library.descent`).
    """

    name: str
    source: str | None
    digest: str
    verdict: Verdict
    log10_p: float | None
    uncorrected: float | None
    strongest: Evidence | None
    of: str
    same: str | None
    cosines: Mapping[str, float]
    parts: tuple[SharedPart, ...] = ()
    made: bool = False

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
            "component": self.of or None,
            "layer_map": None if self.strongest is None or not self.is_relative else _listed(self.strongest.layer_map),
            "same": self.same,
            "found_by": dict(self.cosines),
            "parts": [part.to_json() for part in self.parts],
        }


@dataclass(frozen=True)
class Identification(Shown):
    """What `identify` found.

    Attributes:
        suspect: the fingerprint that was identified.
        library: where the library is.
        searched: number of models in it.
        findings: of every model that was looked at: identical ones, then those with the smallest p-values.
        unreadable: models that could not be tested, as (digest, why).
        spaces: in which the suspect has a vector.
        alpha: the corrected p-value up to which a model is called a relative.
        left_out: candidates that were not tested, since another one holds the suspect's weights.
        itself: the name under which the suspect is in the library (the same weights, the same name); "" if it is not.
        part: what alone was judged; None of whole models.
        ancestor: the relative that the suspect was made from, and why; None if that cannot be told.
        descendants: relatives that were made from the suspect, and why.
    """

    suspect: Fingerprint
    library: str
    searched: int
    findings: tuple[SearchFinding, ...]
    unreadable: tuple[tuple[str, str], ...]
    spaces: tuple[str, ...]
    alpha: float = ALPHA
    left_out: int = 0
    itself: str = ""
    part: str | None = None
    ancestor: tuple[SearchFinding, Arrow] | None = None
    descendants: tuple[tuple[SearchFinding, Arrow], ...] = ()

    @property
    def tested(self) -> int:
        """Models that were tested: those looked at, but for identical ones, which need no test."""
        return sum(finding.verdict != "identical" for finding in self.findings)

    def headline(self) -> str:
        """The answer in a few words: how many relatives, and which is the closest."""
        relatives = self.relatives
        if not relatives:
            return "No relative found" if self.verdict == "no-evidence" else "Untestable"
        count = "1 relative" if len(relatives) == 1 else f"{len(relatives)} relatives"
        same = ", with the same weights" if relatives[0].verdict == "identical" and self.part is None else ""
        return f"{count}: {relatives[0].name}{same}{' and others' if len(relatives) > 1 else ''}"

    @property
    def correction(self) -> str:
        """What p-values are corrected for, in plain words."""
        return (
            f"p-values are multiplied by the number of tests that apply and by {self.searched:,}, the number of models in the "
            "library, tested or not"
        )

    @property
    def relatives(self) -> tuple[SearchFinding, ...]:
        return tuple(finding for finding in self.findings if finding.is_relative)

    @property
    def owners(self) -> dict[str, SearchFinding]:
        """Part -> the relative that shares it most clearly, of the parts that any relative shares."""
        found: dict[str, tuple[float, SearchFinding]] = {}
        for finding in self.relatives:
            for part in finding.parts:
                if part.state in ("identical", "shared"):
                    strength = -math.inf if part.state == "identical" else part.log10_p or 0.0
                    if part.part not in found or strength < found[part.part][0]:
                        found[part.part] = strength, finding
        return {part: finding for part, (_, finding) in found.items()}

    @property
    def verdict(self) -> Verdict:
        """The verdict of the best finding; "untestable" if no test applied to any model."""
        if self.relatives:
            return self.relatives[0].verdict
        return "no-evidence" if any(finding.log10_p is not None for finding in self.findings) else "untestable"

    def sentence(self) -> str:
        """What was found, in plain words."""
        name = self.suspect.name if self.part is None else f"the {self.part} of {self.suspect.name}"
        if not self.searched:
            return f"Nothing can be said about {name}: the library is empty."
        if self.itself:
            return f"{name} is in this library as {self.itself}. {self._of_others(name)}"
        return self._of_others(name)

    def _of_others(self, name: str) -> str:
        """What was found besides the model itself."""
        relatives, other = self.relatives, "other " if self.itself else ""
        if not relatives and self.searched == bool(self.itself):
            return "Nothing else is in it."
        if not relatives:
            outcome = f"no {other}relative found" if self.verdict == "no-evidence" else "nothing can be said, no test applies"
            return f"{name}: {outcome} among {_models(self.searched)}. This does not prove that it has none there."
        best = relatives[0]
        said = f"{words} " if self.part is None and (words := sentence_of_parts(best.parts)) else ""
        more = f", and with {len(relatives) - 1} more of them" if len(relatives) > 1 else ""
        if best.verdict == "identical" and self.part is not None:
            return f"{name} is the same, bit for bit, in {best.name}, one of {_models(self.searched)}{more}."
        if best.verdict == "identical":
            others = f"; {len(relatives) - 1} more of them are relatives" if len(relatives) > 1 else ""
            return f"{name} holds the same weights as {best.name}, one of {_models(self.searched)}{others}."
        return (
            f"{name} shares initial or trained weights with {best.name} ({chance(best.log10_p or 0)}, corrected for "
            f"{_models(self.searched)}){more}. {said}{self._descent()}"
        )

    @property
    def fabrication(self) -> str | None:
        """What an accuser could have made of the suspect, and what rules it out; None where no relative is found."""
        return FABRICATION if self.relatives else None

    def _descent(self) -> str:
        """Who was made from whom, as far as that can be told."""
        known = []
        if self.ancestor is not None:
            known.append(f"It was made from the weights of {self.ancestor[0].name}, or of a copy ({self.ancestor[1].words()}).")
        known += [f"{made.name} was made from its weights, or from a copy ({why.words()})." for made, why in self.descendants]
        if known:
            return " ".join([*known, MADE_UP, "The tests do not say whether it was allowed."])
        return "The tests do not say who descends from whom, nor whether it was allowed."

    def unseen(self) -> tuple[str, ...]:
        """What this search could not have seen, in plain words."""
        unseen = []
        far = self.searched - len(self.findings) - len(self.unreadable) - self.left_out - bool(self.itself)
        if self.left_out:
            same = self.findings[0].name
            candidates = _models(self.left_out, "more candidate")
            unseen.append(f"{candidates}: not tested, since {same} holds the same weights; `identify --all` tests them")
        if far > 0:
            unseen.append(f"{_models(far)} not among the nearest: not tested")
        if self.unreadable:
            unseen.append(f"{_models(len(self.unreadable))} whose fingerprint cannot be read: not tested")
        if far > 0 and (
            missing := [space for space in DIMENSIONS if not any(known.startswith(space) for known in self.spaces)]
        ):
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

    def summary(self) -> str:
        return self.sentence()

    def rows(self) -> list[dict[str, Any]]:
        """Every model that was looked at, relatives first: name, verdict, corrected log10_p, strongest test, digest."""
        return [
            {
                "name": finding.name,
                "verdict": finding.verdict,
                "log10_p": finding.log10_p,
                "test": None if finding.strongest is None else finding.strongest.method,
                "digest": finding.digest,
            }
            for finding in self.findings
        ]

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
            "part": self.part,
            "verdict": self.verdict,
            "sentence": self.sentence(),
            "fabrication": self.fabrication,
            "alpha": self.alpha,
            "searched": self.searched,
            "tested": self.tested,
            "left_out": self.left_out,
            "itself": self.itself or None,
            "ancestor": None if self.ancestor is None else _descent_json(*self.ancestor),
            "descendants": [_descent_json(*each) for each in self.descendants],
            "correction": self.correction,
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
    test_all: bool = False,
    part: str | None = None,
    cache: bool = False,
    workers: int | None = None,
    progress: Progress = lambda name, done, total: None,
) -> Identification:
    """Rank the relatives of a model in a library.

    Args:
        suspect: what to identify.
        library: where to look.
        candidates: how many models to test; all of a library that has no more.
        alpha: largest p-value, corrected for the number of tests and of models in the library, that is called related.
        test_all: test the other candidates too where one holds the suspect's weights.
        part: judge this part alone, one of `kinprint.terms.PARTS` or COMPONENTS; a component is searched for by its vectors.
        cache: use what tests said about a pair earlier, and keep what they say now.
        workers: candidates tested at once (`in_order`); the result is the same.
        progress: called with the name of a model that was looked at, how many have been and how many there are.

    Raises:
        LibraryError: the library cannot be read. Single models in it that cannot are named in the result.
    """
    searched, own = len(library), [query for query in queries(suspect) if part not in COMPONENTS or query.part == part]
    chosen = to_test(own, library, candidates, searched)
    same, others = _by_content(suspect, chosen, library)

    def look_at(candidate: Candidate) -> SearchFinding | Unreadable:
        return _finding(suspect, candidate, library, searched, alpha, part, cache)

    findings: list[SearchFinding] = []
    unreadable: list[Unreadable] = []
    itself = ""
    with closing(in_order(look_at, others, workers)) as tested:
        for number, result in enumerate(chain(map(look_at, same), tested), 1):
            progress(result.name, number, len(chosen))
            if isinstance(result, Unreadable):
                unreadable.append(result)
            elif not itself and part is None and result.same is not None and same_name(result.name, suspect.name):
                itself = result.name
            else:
                findings.append(result)
            answered = any(finding.same is not None for finding in findings)
            if answered and not test_all and number >= len(same):
                break
    ranked = sorted(findings, key=lambda f: (f.verdict != "identical", f.log10_p is None, f.uncorrected or 0.0, f.name))
    ancestor, descendants = _made(suspect, [f for f in ranked if f.made and f.is_relative], library)
    return Identification(
        suspect,
        library.where,
        searched,
        tuple(ranked),
        tuple((each.digest, each.why) for each in unreadable),
        tuple(query.label for query in own),
        alpha,
        left_out=len(chosen) - len(findings) - len(unreadable) - bool(itself),
        itself=itself,
        part=part,
        ancestor=ancestor,
        descendants=descendants,
    )


def _made(
    suspect: Fingerprint, findings: Sequence[SearchFinding], library: Searchable
) -> tuple[tuple[SearchFinding, Arrow] | None, tuple[tuple[SearchFinding, Arrow], ...]]:
    """What the suspect was made from, and what was made from it."""
    models = [suspect, *(library.get(finding.digest) for finding in findings)]
    drawn = arrows(models, range(len(models)))
    above = [(findings[arrow.ancestor - 1], arrow) for arrow in drawn if arrow.descendant == 0]
    below = tuple((findings[arrow.descendant - 1], arrow) for arrow in drawn if arrow.ancestor == 0)
    return (above[0] if above else None), below


def _descent_json(finding: SearchFinding, arrow: Arrow) -> dict[str, Any]:
    return {"name": finding.name, "digest": finding.digest} | arrow.to_json()


@dataclass(frozen=True)
class Unreadable:
    """A candidate whose fingerprint cannot be read, and why."""

    digest: str
    why: str

    @property
    def name(self) -> str:
        return self.digest[:12]


def _by_content(
    suspect: Fingerprint, candidates: Sequence[Candidate], library: Searchable
) -> tuple[list[Candidate], list[Candidate]]:
    """Those whose weights have the suspect's digest, and the others: told apart before a fingerprint is loaded."""
    if suspect.stated.content is None:
        return [], list(candidates)
    contents = library.contents([candidate.digest for candidate in candidates])
    same = [candidate for candidate in candidates if contents.get(candidate.digest) == suspect.stated.content]
    return same, [candidate for candidate in candidates if candidate not in same]


def _finding(
    suspect: Fingerprint, candidate: Candidate, library: Searchable, searched: int, alpha: float, part: str | None, cache: bool
) -> SearchFinding | Unreadable:
    """What is known of the suspect and a candidate: that they are identical, or else what the tests say."""
    try:
        reference = library.get(candidate.digest)
    except KinprintError as error:
        return Unreadable(candidate.digest, str(error))
    content, tested = sameness(reference, suspect), None
    if content.identical is None:
        tested = examine((reference, suspect), alpha=alpha_of_each(alpha, searched), methods=registry.tests(), cache=cache)
        if part is not None:
            tested = one_part(tested, part)
    log10_p = None if tested is None else tested.log10_p
    corrected = _times(log10_p, searched)
    of, strongest = ("", None) if tested is None else _strongest(tested)
    parts = () if tested is None else tested.parts
    return SearchFinding(
        name=reference.name,
        source=_source(reference),
        digest=candidate.digest,
        verdict="identical" if tested is None else tested.verdict,
        log10_p=corrected,
        uncorrected=log10_p,
        strongest=strongest,
        of=of,
        same=content.identical,
        cosines=candidate.cosines,
        parts=tuple(replace(part, log10_p=_times(part.log10_p, searched)) for part in parts),
        made=part is None and content.identical is None and bool(rule(reference, suspect) or rule(suspect, reference)),
    )


def _strongest(tested: Comparison) -> tuple[str, Evidence | None]:
    """The test with the smallest p-value, and the component that it is of."""
    said = [(what, each.tests) for what, each in {"": tested, **tested.components}.items()]
    known = [(what, item) for what, items in said for item in items if item.log10_p is not None]
    return min(known, key=lambda pair: (not pair[1].decides, pair[1].log10_p), default=("", None))


def _times(log10_p: float | None, searched: int) -> float | None:
    return None if log10_p is None else bonferroni(log10_p, searched)


def to_test(own: Sequence[Query], library: Searchable, count: int, size: int) -> list[Candidate]:
    """The `count` models that `retrieve` finds, the likeliest first; then all others of a library whose `size` is no larger."""
    candidates = retrieve(own, library, count)
    if size > count:
        return candidates
    found = {candidate.digest for candidate in candidates}
    return [*candidates, *(Candidate(model.digest, {}) for model in library.models() if model.digest not in found)]


def retrieve(own: Sequence[Query], library: Searchable, count: int) -> list[Candidate]:
    """The `count` models that are nearest to a model or its components, the likeliest first: spaces take turns.

    Cosines of different spaces do not compare: in models of many neurons strangers of one recipe are far nearer by `forms` than
    by what labels say. So every space names its nearest model, then its second, ...; of one turn the one with the largest
    `Candidate.strength` is the likeliest.
    """
    cosines: dict[str, dict[str, float]] = {}
    turn: dict[str, int] = {}
    for query in own:
        for rank, (digest, cosine) in enumerate(library.nearest(query.space, query.vector, count, query.part)):
            cosines.setdefault(digest, {})[query.label] = cosine
            turn[digest] = min(rank, turn.get(digest, rank))
    found = [Candidate(digest, of_spaces) for digest, of_spaces in cosines.items()]
    return sorted(found, key=lambda each: (turn[each.digest], -each.strength, each.digest))[:count]


def _source(model: Fingerprint) -> str | None:
    source = model.provenance.get("source")
    return printable(source, 2000) if isinstance(source, str) else None


def _models(count: int, what: str = "model") -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def _listed(layers: Sequence[int] | None) -> list[int] | None:
    return None if layers is None else list(layers)
