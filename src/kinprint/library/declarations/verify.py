"""Is a model made from what it says it was made from? Each declared base is found, measured and compared.

Only tests decide, as everywhere, and only about weights. *Confirmed* says that model and declared base share initial or trained
weights: not which came first, and not that nothing else went in. *Contradicted* is said only where the declaration claims that
the base's weights are in the model and the tests were able to see them (`_untestable`). What lies between is *not testable*.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kinprint import methods
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.checkpoints.places import HUB, without_hub
from kinprint.checkpoints.remote import hub
from kinprint.comparison import ALPHA, Comparison, examine
from kinprint.comparison.one_part import one_part
from kinprint.comparison.parts import sentence
from kinprint.errors import CheckpointError, KinprintError, printable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.fingerprints.from_model import SUFFIX
from kinprint.library.declarations.base_models import BaseModels, Few
from kinprint.library.declarations.declaration import KEEPS_WEIGHTS, Declaration, same_name
from kinprint.library.declarations.declared import Declared, of_fingerprint, read_declared
from kinprint.library.declarations.licences import Licence, LicenceFinding
from kinprint.library.model_folders import kind_of, models_below
from kinprint.methods import Evidence
from kinprint.statistics import alpha_of_each, bonferroni, smallest
from kinprint.words import p_value

FORMAT = "kinprint-verification/1"

Stage = Literal["quick", "full", "deep"]
Status = Literal["confirmed", "contradicted", "not-testable", "not-found"]
Conclusion = Literal["confirmed", "contradicted", "undeclared-relative", "not-testable", "nothing-declared"]

POWER = 0.5
"""A test counts as able to see a descendant if it would have seen half the correlation of a copy (`Test.descendants_keep`)."""

SHAPE = (
    "family", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
    "num_experts",
)  # fmt: skip
"""Facts that a fine-tune, an adapter, a quantised copy and a merge keep."""

DEPTH = 4
"""Folders within each other in which a mirror is searched for models."""

SAYS = {
    "confirmed": "Every base that it declares shares weights with it. Which was first is not tested.",
    "contradicted": "It does not share weights with a base that it declares, as far as the tests see.",
    "not-testable": "Not every declaration could be tested.",
    "nothing-declared": "It declares no base.",
}

Opener = Callable[[str, bool], Fingerprint]
"""Measures a model, quickly or in full."""


@dataclass(frozen=True)
class Options:
    """Where bases are looked for, and how far the tests go.

    Attributes:
        models: a mirror: folders `org/name` or `name`.
        shelf: fingerprints at hand: a base may be one of them, and undeclared relatives are looked for among them.
        offline: no hub and no server is asked: what is not on this disk is not found.
        quick: look at 1 % of the weights and no more. That can confirm and never contradict.
        deep: before contradicting, compare both checkpoints where both are at hand, since descendants that were rotated or
            relabelled are seen by these methods alone.
        alpha: largest p-value that is called related, for each declaration.
        part: what alone is judged, of `kinprint.terms.PARTS` or COMPONENTS; None of whole models.
    """

    models: Path | None = None
    shelf: BaseModels = field(default_factory=Few)
    offline: bool = False
    quick: bool = False
    deep: bool = True
    alpha: float = ALPHA
    part: str | None = None

    def seen(self, comparison: Comparison) -> Comparison:
        """A comparison of whole models as it shall be judged."""
        return comparison if self.part is None else one_part(comparison, self.part)


@dataclass(frozen=True)
class DeclarationFinding:
    """What was found about one declaration.

    Attributes:
        declaration: as read.
        status: see the module.
        reason: in a sentence for people.
        source: where the base was found; empty if it was not.
        stage: how closely the pair was looked at last.
        log10_p: of that look, corrected for the number of tests and of looks; None if nothing was tested.
    """

    declaration: Declaration
    status: Status
    reason: str
    source: str = ""
    stage: Stage | None = None
    log10_p: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.declaration.text,
            "relation": self.declaration.relation or None,
            "declared_in": list(self.declaration.where),
            "status": self.status,
            "reason": self.reason,
            "source": self.source or None,
            "stage": self.stage,
            "log10_p": None if self.log10_p is None else float(self.log10_p),
        }


@dataclass(frozen=True)
class Relative:
    """A model that shares weights with the verified one, although neither declares the other.

    Attributes:
        name, source: of the relative.
        log10_p: corrected for the number of models that were searched.
        identical: the weights are the same.
        by_part: which parts are shared, in a sentence, where not all are.
        licences: what its card stated when it was measured.
    """

    name: str
    source: str
    log10_p: float
    identical: bool = False
    by_part: str = ""
    licences: tuple[Licence, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source or None,
            "log10_p": self.log10_p,
            "identical": self.identical,
            "by_part": self.by_part or None,
        }


@dataclass(frozen=True)
class Verification:
    """What `verify` found about one model.

    Attributes:
        model: as the user calls it.
        findings: one for each declared base.
        relatives: undeclared ones, the closest first; looked for where no declared base was confirmed.
        searched: among how many models.
        notes: damaged cards and the like.
        itself: the name of a model that was searched and has these very weights and this name; empty if there is none.
        called: what the weights file calls the model; nobody tests that.
        licences: of the model beside those of each model whose weights it shares.
    """

    model: str
    findings: tuple[DeclarationFinding, ...] = ()
    relatives: tuple[Relative, ...] = ()
    searched: int = 0
    itself: str = ""
    called: str = ""
    licences: tuple[LicenceFinding, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def conclusion(self) -> Conclusion:
        """The worst of the findings."""
        statuses = {finding.status for finding in self.findings}
        if "contradicted" in statuses:
            return "contradicted"
        if self.relatives:
            return "undeclared-relative"
        if statuses & {"not-testable", "not-found"}:
            return "not-testable"
        return "confirmed" if statuses else "nothing-declared"

    def sentence(self) -> str:
        """The conclusion in words; which model was first is not tested."""
        if self.conclusion != "undeclared-relative":
            return SAYS[self.conclusion]
        nearest = self.relatives[0]
        begins = "It declares another base" if self.findings else "It declares no base"
        if nearest.identical:
            return f"{begins}, and its weights are those of {nearest.name}."
        return f"{begins}, and it shares weights with {nearest.name}. Which was first is not tested."

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint verify --json` prints."""
        return {
            "format": FORMAT,
            "model": self.model,
            "conclusion": self.conclusion,
            "declarations": [finding.to_json() for finding in self.findings],
            "undeclared_relatives": [relative.to_json() for relative in self.relatives],
            "searched": self.searched,
            "sentence": self.sentence(),
            "itself": self.itself or None,
            "called": self.called or None,
            "licences": [finding.to_json() for finding in self.licences],
            "notes": list(self.notes),
        }


def verify(
    model: str,
    options: Options | None = None,
    *,
    name: str = "",
    open_model: Opener | None = None,
    ahead: Callable[[Weights, Weights], None] = lambda reference, suspect: None,
) -> Verification:
    """Compare a model with everything that it says it was made from.

    Args:
        model: a folder, a file, a hub id or a `.kinprint` file.
        options: where bases are found, and how far the tests go.
        name: what others call the model (`org/name`), where its place does not say.
        open_model: measures a place; `kinprint.fingerprint` by default.
        ahead: is shown both weights before they are compared side by side.

    Raises:
        KinprintError: the model itself cannot be read. What is wrong with a base is a finding.
    """
    wanted = options or Options()
    measure = open_model or (lambda place, quick: fingerprint(place, quick=quick, offline=wanted.offline))
    pair = _Pair(model, wanted, measure, ahead)
    declared = read_declared(model, offline=wanted.offline)
    own = name or (without_hub(model).partition("@")[0] if hub.means_repository(model) else "")
    bases = [declaration for declaration in declared.declarations if not own or declaration.name != own]
    if declared.is_adapter:
        return Verification(printable(name or model), tuple(map(_of_adapter, bases)), notes=declared.notes)
    findings = _together([_finding(declaration, pair, wanted) for declaration in bases])
    notes = list(declared.notes)
    if len(bases) < len(declared.declarations):
        notes.append("names itself as its base; this is ignored")
    if not findings:
        pair.measured(False)  # a model that declares nothing is read all the same: a gate must not pass what is no model
    confirmed = any(finding.status == "confirmed" for finding in findings)
    found = _Searched() if confirmed else _undeclared(pair, own, bases, wanted)
    shared = [
        (each.declaration.text, _licences(each.declaration, model, wanted)) for each in findings if each.status == "confirmed"
    ]
    shared += [(relative.name, relative.licences) for relative in found.relatives]
    return Verification(
        printable(name or model),
        findings,
        found.relatives,
        found.models,
        found.itself,
        declared.called,
        tuple(LicenceFinding(printable(base), declared.licences, theirs) for base, theirs in shared),
        tuple(notes),
    )


def _licences(declaration: Declaration, model: str, options: Options) -> tuple[Licence, ...]:
    """What a declared base is under. Where a fingerprint at hand was measured is a stranger's word, and is not opened."""
    base = find_base(declaration, model, options)
    if base is None or isinstance(base, Fingerprint):
        return () if base is None else of_fingerprint(base).licences
    try:
        return read_declared(base, offline=options.offline).licences
    except KinprintError:
        return ()


# --- finding a base


def find_base(declaration: Declaration, model: str, options: Options) -> str | Fingerprint | None:
    """Where a declared base is: a folder of the mirror, a fingerprint at hand, or its id on the hub; None if nowhere.

    A folder that is the model itself is passed over: its own name says nothing about a namesake of another organisation.
    """
    name = declaration.name
    for below in (name, name.rpartition("/")[2]) if options.models is not None and name else ():
        folder = Path(options.models or "", below)  # names do not climb: `parsed`
        if _is_model(folder) and os.path.realpath(folder) != os.path.realpath(model):
            return str(folder)
    if name and (known := options.shelf.named(name)) is not None:
        return known
    if not options.offline and "/" in name:  # whatever lies here under that name
        return f"{HUB}{name}@{declaration.revision}" if declaration.revision else f"{HUB}{name}"
    return None


class _Pair:
    """The model, and the looks that are taken at it beside a base."""

    def __init__(self, model: str, options: Options, open_model: Opener, ahead: Callable[[Weights, Weights], None]) -> None:
        self.model, self.options, self.open_model, self.ahead = model, options, open_model, ahead
        self._fingerprints: dict[bool, Fingerprint] = {}

    def measured(self, quick: bool) -> Fingerprint:
        if quick not in self._fingerprints:
            self._fingerprints[quick] = self.open_model(self.model, quick)
        return self._fingerprints[quick]

    def stages(self, base: str | Fingerprint) -> tuple[Stage, ...]:
        """The looks to take: from 1 % of the weights, from all, from both checkpoints side by side."""
        at_hand = [isinstance(place, Fingerprint) or place.endswith(SUFFIX) for place in (self.model, base)]
        deep: tuple[Stage, ...] = () if any(at_hand) or not self.options.deep else ("deep",)
        if self.options.quick:
            return ("quick",)
        return ("full", *deep) if all(at_hand) else ("quick", "full", *deep)

    def _weights(self, place: str) -> Weights:
        return open_model(place, offline=self.options.offline).weights

    def look(self, base: str | Fingerprint, stage: Stage, alpha: float) -> Comparison:
        """One comparison by tests alone; scores decide nothing and cost time."""
        quick = stage == "quick"
        reference = base if isinstance(base, Fingerprint) else self.open_model(base, quick)
        weights = (self._weights(str(base)), self._weights(self.model)) if stage == "deep" else None
        if weights is not None:
            self.ahead(*weights)
        tests = methods.tests(deep=stage == "deep")
        return self.options.seen(examine((reference, self.measured(quick)), weights, alpha=alpha, methods=tests))


def _finding(declaration: Declaration, pair: _Pair, options: Options) -> DeclarationFinding:
    """Look closer and closer until the base is seen, or everything has been tried."""
    if not declaration.name:
        return DeclarationFinding(declaration, "not-found", "this is not the name of a model, so nothing was opened")
    base = find_base(declaration, pair.model, options)
    if base is None:
        where = "among the models given" if not options.offline else "among the models given, and the hub is not asked"
        return DeclarationFinding(declaration, "not-found", f"not {where}")
    source = str(base.provenance.get("source") or base.name) if isinstance(base, Fingerprint) else base
    stages = pair.stages(base)
    pair.measured(stages[0] == "quick")  # what is wrong with the model itself is no finding
    looks: dict[Stage, Comparison] = {}
    try:
        for stage in stages:
            looks[stage] = pair.look(base, stage, alpha_of_each(options.alpha, len(stages)))
            if looks[stage].verdict in ("related", "identical"):
                return _confirmed(declaration, source, stage, looks[stage], len(stages))
    except KinprintError as error:
        elsewhere = isinstance(error, CheckpointError) and not isinstance(base, Fingerprint) and not os.path.lexists(base)
        return DeclarationFinding(declaration, "not-found" if elsewhere else "not-testable", str(error), printable(source))
    stage = [stage for stage, look in looks.items() if look.verdict != "untestable" or stage != "deep"][-1]
    seen = looks.get("full", looks[stages[0]])
    log10_p = _smallest(looks.values(), len(stages))
    reason = _untestable(declaration, seen, stage)
    if reason is not None:
        return DeclarationFinding(declaration, "not-testable", reason, printable(source), stage, log10_p)
    units, power = _sight(seen)
    how = "neither the fingerprints nor both checkpoints side by side" if stage == "deep" else "the fingerprints do not"
    reason = f"{how} show weights of the base; a correlation of {power:.2f} between {units} would have been seen"
    return DeclarationFinding(declaration, "contradicted", reason, printable(source), stage, log10_p)


def _confirmed(declaration: Declaration, source: str, stage: Stage, seen: Comparison, looks: int) -> DeclarationFinding:
    log10_p = _smallest([seen], looks)
    if seen.about:
        reason = seen.sentence()
    elif seen.same is not None:
        reason = f"holds the same weights as the base: {seen.same}"
    elif seen.content.weights is not None:
        reason = f"holds the same language model as the base: {seen.content.weights}"
    else:
        by_part = sentence(seen.parts)
        reason = f"shares initial or trained weights with it (p {p_value(log10_p or 0)}){f'. {by_part}' if by_part else ''}"
    return DeclarationFinding(declaration, "confirmed", reason, printable(source), stage, log10_p)


def _smallest(looks: Iterable[Comparison], number: int) -> float | None:
    log10_ps = [look.log10_p for look in looks if look.log10_p is not None]
    return smallest(log10_ps, number) if log10_ps else None


# --- what may be concluded


def _untestable(declaration: Declaration, seen: Comparison, stage: Stage) -> str | None:
    """Why it does not contradict a declaration that no test saw the base; None if it does."""
    units, power = _sight(seen)
    if seen.verdict == "untestable" or not units:
        return f"the tests that would see descent do not apply: {_notes(seen.tests)}"
    if not declaration.of_weights:
        return "not seen; a configuration names what it was loaded from and claims nothing about weights"
    if not declaration.claims_weights:
        return f"not seen; {declaration.relation!r} does not say that weights were kept ({', '.join(KEEPS_WEIGHTS)} do)"
    if any(model.quick is not None for model in (seen.reference, seen.suspect)):
        return "not seen in 1 % of the weights (--quick), which is too little to speak against it"
    if differing := _differing(seen):
        return f"not seen; the shapes differ, and the declaration does not say why: {differing}"
    if not power <= POWER:
        return f"not seen; too few {units} to see a correlation of {POWER}"
    if stage != "deep" and _quantised(declaration, seen):
        return "not seen; weights may be rotated before they are quantised, and only both checkpoints would show that"
    return None


def _sight(seen: Comparison) -> tuple[str, float]:
    """The units whose labels every descendant keeps, and the smallest correlation between them that a test would have seen.

    Taken from the test that sees the smallest one; infinite if that test states none; no units if no test applies.
    """
    kept = {test.name: test.descendants_keep for test in methods.tests()}
    powers = {
        kept[item.method]: math.inf if item.detectable is None else item.detectable
        for item in seen.tests
        if item.applies and kept.get(item.method)
    }
    return min(powers.items(), key=lambda entry: entry[1], default=("", math.inf))


def _differing(seen: Comparison) -> str:
    ours, theirs = seen.reference.facts, seen.suspect.facts
    differing = [fact for fact in SHAPE if ours.get(fact) != theirs.get(fact)]
    return ", ".join(f"{fact} {printable(theirs.get(fact), 40)} for {printable(ours.get(fact), 40)}" for fact in differing)


def _quantised(declaration: Declaration, seen: Comparison) -> bool:
    stored = (model.stated.quantization for model in (seen.reference, seen.suspect))
    return declaration.relation == "quantized" or any(stored)


def _notes(tests: Iterable[Evidence]) -> str:
    return printable(" ".join(item.note for item in tests if not item.applies and item.note), 250)


def _together(findings: list[DeclarationFinding]) -> tuple[DeclarationFinding, ...]:
    """A model made from several may hold next to nothing of one of them: where one is confirmed, none is contradicted."""
    if not any(finding.status == "confirmed" for finding in findings):
        return tuple(findings)
    reason = "not seen; another declared base is seen, and a merge may keep next to nothing of one of its parents"
    return tuple(
        replace(finding, status="not-testable", reason=reason) if finding.status == "contradicted" else finding
        for finding in findings
    )


def _of_adapter(declaration: Declaration) -> DeclarationFinding:
    reason = "the model is an adapter: it is added to a base's weights and holds none of them"
    return DeclarationFinding(declaration, "not-testable", reason)


# --- relatives that nobody declares


@dataclass(frozen=True)
class _Searched:
    """Relatives that nobody declares, among how many models, and under which name the model itself is among them."""

    relatives: tuple[Relative, ...] = ()
    models: int = 0
    itself: str = ""


def _undeclared(pair: _Pair, own: str, declared: Sequence[Declaration], options: Options) -> _Searched:
    """Relatives among the models at hand; p-values are corrected for their number."""
    searched = len(options.shelf)
    if not searched:
        return _Searched()
    model = pair.measured(options.quick)
    tests = methods.tests()
    relatives, itself = [], ""
    names = [name for name in (own, model.name, Path(model.name).stem) if name]
    for known in options.shelf.candidates(model):
        if known.digest == model.digest and any(same_name(known.name, name) for name in names):
            itself = known.name
            continue
        if _declares(known, names) or any(same_name(base.name, known.name) for base in declared):
            continue
        seen = options.seen(examine((known, model), alpha=alpha_of_each(options.alpha, searched), methods=tests))
        if seen.verdict in ("related", "identical"):
            log10_p = 0.0 if seen.log10_p is None else bonferroni(seen.log10_p, searched)
            source = printable(known.provenance.get("source") or "")
            licences = of_fingerprint(known).licences
            relatives.append(Relative(known.name, source, log10_p, seen.same is not None, sentence(seen.parts), licences))
    relatives.sort(key=lambda relative: (not relative.identical, relative.log10_p))
    return _Searched(tuple(relatives), searched, itself)


def _declares(known: Fingerprint, names: Sequence[str]) -> bool:
    """Whether the other model's card names this one as its base: then nothing is hidden."""
    return any(same_name(base.name, name) for base in of_fingerprint(known).declarations for name in names)


# --- a mirror


def models_in_mirror(folder: Path) -> Iterator[str]:
    """Relative paths of the models in a mirror, in order; folders with a configuration alone are among them, as incomplete.

    Raises:
        CheckpointError: the folder cannot be listed. Folders below that cannot be are passed over.
    """
    for model in models_below(folder, itself=False, deepest=DEPTH, announced=True, patient=True):
        if model.suffix != SUFFIX:  # a fingerprint beside a model is no other model
            yield model.relative_to(folder).as_posix()


def _is_model(folder: Path) -> bool:
    """Whether a folder holds weights or says how they would be laid out."""
    try:
        return kind_of(set(os.listdir(folder)), announced=True) != "nothing"
    except OSError:
        return False


def circles(declared: dict[str, Declared]) -> list[tuple[str, ...]]:
    """Circles of models that declare each other as their bases, each circle once."""
    following = {
        name: [target for base in model.declarations for target in declared if same_name(base.name, target) and target != name]
        for name, model in declared.items()
    }
    return sorted({circle for name in following if (circle := _circle(name, following))})


def _circle(name: str, following: dict[str, list[str]]) -> tuple[str, ...]:
    """A shortest way from a name back to it, written from its first name in order; empty if there is none."""
    ways: list[tuple[str, ...]] = [(name,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for base in following[way[-1]]:
            if base == name:
                first = way.index(min(way))
                return way[first:] + way[:first]
            if base not in seen:
                seen.add(base)
                ways.append((*way, base))
    return ()
