"""Documents that state a comparison, read back: do their files, their verdict and their reference hold?

Two kinds are read: in-toto statements (bare, in a DSSE envelope, or in a Sigstore bundle) and CycloneDX bills of materials, as
`kinprint compare` writes them. Every byte is a stranger's. What is checked is what can be measured: the digests of the files
at hand, whether the verdict follows from the p-values beside it, and, with the reference at hand, whether the comparison comes
out the same. Who signed a document is not checked here: that is what cosign, sigstore and model-signing are for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinprint.checkpoints.json_text import parse_object
from kinprint.comparison import ALPHA, Comparison
from kinprint.comparison.comparison import FORMAT as COMPARISON_FORMAT
from kinprint.comparison.identity import Sameness
from kinprint.comparison.verdict import combined_log10_p, decide
from kinprint.errors import CheckpointError, UnfitError, printable
from kinprint.library.declarations.at_hand import AtHand, Check, Conclusion, Described, identity
from kinprint.library.declarations.in_toto import (
    CYCLONEDX,
    NAMESPACE,
    STATEMENT_TYPE,
    Document,
    named,
    opened,
    resources,
    table,
    tables,
)
from kinprint.methods import Evidence
from kinprint.words import p_value

FORMAT = "kinprint-statement/1"
CHECK_FORMAT = "kinprint-statement-check/1"

PREDICATE_TYPE = f"urn:uuid:{NAMESPACE}#{FORMAT}"
EVIDENCE = "kinprint:evidence"
"""The property of a CycloneDX component that holds what the predicate of a statement would."""

MAX_TESTS = 1000
SAME = 1e-6
"""Two log10 p-values of one computation differ by less, however they were written."""

VERDICTS = ("identical", "related", "no-evidence", "untestable")
PLACES = ("ancestors", "descendants", "variants")


@dataclass(frozen=True)
class Statement:
    """What a document states.

    Attributes:
        kind: what the document is, for people.
        signed: it carries a signature, which nobody has checked.
        verdict, log10_p, alpha: as stated.
        tests: log10 p-value of each test that applied and was not set aside.
        methods: names of all methods that took part.
        quick: the models that were measured quickly: "reference", "suspect".
        measured_with: versions, as stated.
        disagreements: where the document contradicts itself, for people.
    """

    kind: str
    signed: bool
    reference: Described
    suspect: Described
    verdict: str
    log10_p: float | None
    alpha: float
    tests: tuple[float, ...]
    methods: tuple[str, ...]
    quick: tuple[str, ...]
    measured_with: Mapping[str, Any]
    disagreements: tuple[str, ...] = ()


@dataclass(frozen=True)
class StatementCheck:
    """What was found about a statement and the model at hand."""

    statement: Statement
    checks: tuple[Check, ...]

    @property
    def conclusion(self) -> Conclusion:
        """It holds where it is about the model at hand, and its verdict can be followed."""
        if any(check.status == "contradicted" for check in self.checks):
            return "contradicted"
        holding = {check.what for check in self.checks if check.status == "holds"}
        about_it, followed = holding & {"files", "fingerprint"}, holding & {"verdict", "comparison"}
        return "holds" if about_it and followed else "not-testable"

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint verify --statement --json` prints."""
        statement = self.statement
        return {
            "format": CHECK_FORMAT,
            "kind": statement.kind,
            "signature": "not checked" if statement.signed else "none",
            "reference": statement.reference.name,
            "suspect": statement.suspect.name,
            "verdict": statement.verdict,
            "log10_p": statement.log10_p,
            "alpha": statement.alpha,
            "checks": [check.to_json() for check in self.checks],
            "conclusion": self.conclusion,
        }


def check_statement(
    statement: Statement,
    model: AtHand,
    reference: AtHand | None = None,
    again: Callable[[], Comparison] | None = None,
    versions: Mapping[str, Any] | None = None,
) -> StatementCheck:
    """Check a statement against what is at hand.

    Args:
        statement: as read.
        model: that the statement is said to be about.
        reference: that the statement speaks of.
        again: compares the two as the statement says they were compared; needed with a reference.
        versions: what `again` measures with.
    """
    checks = [*identity(statement.suspect, model, "files", "fingerprint"), _follows(statement)]
    if reference is not None and again is not None:
        same = identity(statement.reference, reference, "reference", "reference")
        checks += same
        if any(check.status == "holds" for check in same):
            checks.append(_again(statement, again(), versions or {}))
    return StatementCheck(statement, tuple(checks))


# --- checks


def _follows(statement: Statement) -> Check:
    """Whether the verdict follows from the p-values beside it, as kinprint combines them."""
    if statement.disagreements:
        return Check("verdict", "contradicted", "; ".join(statement.disagreements[:3]))
    evidence = [Evidence(method="stated", kind="test", statistic=0.0, log10_p=value) for value in statement.tests]
    log10_p = combined_log10_p(evidence)
    if (log10_p is None) != (statement.log10_p is None) or not math.isclose(
        log10_p or 0.0, statement.log10_p or 0.0, rel_tol=SAME, abs_tol=SAME
    ):
        return Check("verdict", "contradicted", "the combined p-value does not follow from those of its tests")
    if statement.verdict == "identical":
        if statement.reference.fingerprint == statement.suspect.fingerprint:
            return Check("verdict", "holds", "both models have one fingerprint")
        reason = "p-values cannot show that weights are the same up to rounding; give the reference (--reference)"
        return Check("verdict", "not-checked", reason)
    if statement.verdict == "related" and log10_p is None:
        reason = "no test applies, so it rests on tensors that agree bit for bit; give the reference (--reference)"
        return Check("verdict", "not-checked", reason)
    verdict = decide(Sameness(None), statement.log10_p, statement.alpha)
    if verdict != statement.verdict:
        reason = f"it says {statement.verdict}, but its p-values say {verdict}"
        return Check("verdict", "contradicted", reason)
    if statement.alpha > ALPHA:
        reason = f"it calls models related at p ≤ {statement.alpha:g}; kinprint asks for {ALPHA:g} by default"
        return Check("verdict", "not-checked", reason)
    return Check(
        "verdict", "holds", "it follows from the p-values of its tests; the statement cannot show that they were measured"
    )


def _again(statement: Statement, comparison: Comparison, versions: Mapping[str, Any]) -> Check:
    p = "" if comparison.log10_p is None else f" (p {p_value(comparison.log10_p)})"
    if comparison.verdict == statement.verdict:
        return Check("comparison", "holds", f"compared again: {comparison.verdict}{p}")
    if dict(versions) == dict(statement.measured_with):
        return Check("comparison", "contradicted", f"compared again: {comparison.verdict}{p}, not {statement.verdict}")
    reason = f"compared again with another version of kinprint: {comparison.verdict}{p}, not {statement.verdict}"
    return Check("comparison", "not-checked", reason)


# --- reading


def read_statement(path: Path) -> Statement:
    """What a document states.

    Raises:
        CheckpointError: it cannot be read, or states no comparison of kinprint.
    """
    try:
        document = opened(path)
        if document.kind == CYCLONEDX:
            return _of_bom(document, path)
        return _of_in_toto(document)
    except UnfitError as unfit:
        raise CheckpointError(path, str(unfit), "make one with `kinprint compare ... --in-toto FILE` or --cyclonedx") from None


def _of_in_toto(document: Document) -> Statement:
    statement = document.content
    if statement.get("_type") != STATEMENT_TYPE:
        raise UnfitError("neither an in-toto statement (v1) nor a CycloneDX document")
    if statement.get("predicateType") != PREDICATE_TYPE:
        raise UnfitError(f"a statement of type {printable(statement.get('predicateType'), 100)}, not of {PREDICATE_TYPE}")
    files = resources(statement.get("subject"))
    if not files:
        raise UnfitError("a statement about no file")
    return _stated(table(statement.get("predicate"), "predicate"), files, document)


def _of_bom(document: Document, path: Path) -> Statement:
    component = _component(document.content)
    properties = _properties(component)
    predicate = parse_object(str(properties.get(EVIDENCE)).encode(errors="replace"), path, strict=True)
    comparison = table(predicate.get("comparison"), "comparison")
    wrong = [
        f"{name} is {printable(properties.get(name), 60)}, and {printable(stated, 60)} in its evidence"
        for name, stated in (
            ("kinprint:verdict", comparison.get("verdict")),
            ("kinprint:sentence", comparison.get("sentence")),
            ("kinprint:fingerprint:blake3", table(comparison.get("suspect"), "suspect").get("digest")),
        )
        if properties.get(name) != stated
    ]
    wrong += [
        f"{name} is {printable(properties.get(name), 60)}, and {printable(stated, 60)} in its evidence"
        for name, stated in (("kinprint:log10_p", comparison.get("log10_p")), ("kinprint:alpha", comparison.get("alpha")))
        if _written(properties.get(name)) != _number(stated)
    ]
    return _stated(predicate, _components(component), document, [*wrong, *_pedigree(component, predicate)])


def _component(bom: Mapping[str, Any]) -> Mapping[str, Any]:
    """The component that carries the evidence, among those of other tools."""
    described = table(table(bom.get("metadata", {}), "metadata").get("component", {}), "component")
    listed = [*tables(bom.get("components"), "components"), described]
    carriers = [
        component
        for component in listed
        if any(p.get("name") == EVIDENCE for p in tables(component.get("properties"), "properties"))
    ]
    if len(carriers) != 1:
        raise UnfitError(f"{len(carriers)} components with evidence of kinprint, one is expected")
    return carriers[0]


def _pedigree(component: Mapping[str, Any], predicate: Mapping[str, Any]) -> list[str]:
    """What the pedigree says that the evidence does not."""
    pedigree = table(component.get("pedigree", {}), "pedigree")
    models = [model for place in PLACES for model in tables(pedigree.get(place), place)]
    comparison = table(predicate.get("comparison"), "comparison")
    related = comparison.get("verdict") in ("related", "identical")
    if len(models) != related:
        return [f"{len(models)} models in the pedigree, with the verdict {printable(comparison.get('verdict'), 60)}"]
    if not models:
        return []
    digest = table(comparison.get("reference"), "reference").get("digest")
    stated, shown = resources(predicate.get("reference_files")), _components(models[0])
    if _properties(models[0]).get("kinprint:fingerprint:blake3") != digest or stated != shown:
        return ["the model in the pedigree is not the reference of its evidence"]
    return []


def _stated(
    predicate: Mapping[str, Any],
    files: frozenset[tuple[str, str]],
    document: Document,
    disagreements: Sequence[str] = (),
) -> Statement:
    comparison = table(predicate.get("comparison"), "comparison")
    if predicate.get("format") != FORMAT or comparison.get("format") != COMPARISON_FORMAT:
        raise UnfitError(f"not of the formats {FORMAT} and {COMPARISON_FORMAT}; a newer kinprint may read it")
    if comparison.get("verdict") not in VERDICTS:
        raise UnfitError("without a verdict")
    alpha = _number(comparison.get("alpha"))
    if alpha is None or not 0 < alpha < 1:
        raise UnfitError("without a level of significance")
    evidence = tables(comparison.get("evidence"), "evidence")
    if len(evidence) > MAX_TESTS:
        raise UnfitError(f"evidence of {len(evidence):,} methods, more than the {MAX_TESTS:,} allowed")
    deciding = (item for item in evidence if item.get("kind") == "test" and not item.get("set_aside"))
    values = [_number(item.get("log10_p")) for item in deciding]
    tests = tuple(value for value in values if value is not None)
    if any(value > 0 for value in tests):
        raise UnfitError("with a probability above one")
    quick = table(table(comparison.get("context", {}), "context").get("quick", {}), "quick")
    return Statement(
        kind=document.kind,
        signed=document.signed,
        reference=_side(comparison, "reference", resources(predicate.get("reference_files"))),
        suspect=_side(comparison, "suspect", files),
        verdict=str(comparison["verdict"]),
        log10_p=_number(comparison.get("log10_p")),
        alpha=alpha,
        tests=tests,
        methods=tuple(str(item.get("method")) for item in evidence),
        quick=tuple(side for side in ("reference", "suspect") if side in quick),
        measured_with=table(predicate.get("measured_with"), "measured_with"),
        disagreements=tuple(disagreements),
    )


def _side(comparison: Mapping[str, Any], which: str, files: frozenset[tuple[str, str]]) -> Described:
    model = table(comparison.get(which), which)
    return Described(printable(model.get("name")), printable(model.get("digest")), files)


def _components(model: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The files among a component's components; none where the digest of one is not known."""
    files = [file for file in tables(model.get("components"), "components") if file.get("type") == "file"]
    hashes = [(file.get("name"), tables(file.get("hashes"), "hashes")) for file in files]
    known = [(name, file.get("content")) for name, digests in hashes for file in digests if file.get("alg") == "SHA-256"]
    return named(known) if len(known) == len(files) else frozenset()


def _properties(component: Mapping[str, Any]) -> dict[str, Any]:
    """CycloneDX lets a name appear twice; of two verdicts every reader could take another."""
    listed = tables(component.get("properties"), "properties")
    properties = {str(item.get("name")): item.get("value") for item in listed}
    if len(properties) != len(listed):
        raise UnfitError("with a property that is given twice")
    return properties


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnfitError(f"{printable(value, 60)} stands where a number is expected")
    try:
        number = float(value)
    except OverflowError as error:
        raise UnfitError("with a number that is not finite") from error
    if not math.isfinite(number):
        raise UnfitError("with a number that is not finite")
    return number


def _written(text: object) -> float | str | None:
    """A number as a property holds it."""
    if text == "null":
        return None
    try:
        return float(str(text))
    except ValueError:
        return printable(text, 60)
