"""Documents that state a comparison, read back: do their files, their verdict and their reference hold?

Two kinds are read: in-toto statements (bare, in a DSSE envelope, or in a Sigstore bundle) and CycloneDX bills of materials, as
`kinprint compare` writes them. Every byte is a stranger's. What is checked is what can be measured: the digests of the files
at hand, whether the verdict follows from the p-values beside it, and, with the reference at hand, whether the comparison comes
out the same. Who signed a document is not checked here: that is what cosign, sigstore and model-signing are for.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kinprint.checkpoints.files import read_bounded
from kinprint.checkpoints.hashes import FileHash
from kinprint.checkpoints.json_text import parse_object
from kinprint.comparison import ALPHA, Comparison
from kinprint.comparison.comparison import FORMAT as COMPARISON_FORMAT
from kinprint.comparison.identity import Sameness
from kinprint.comparison.verdict import combined_log10_p, decide
from kinprint.errors import CheckpointError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.methods import Evidence
from kinprint.words import p_value

FORMAT = "kinprint-statement/1"
CHECK_FORMAT = "kinprint-statement-check/1"

NAMESPACE = "821f3ca3-fece-4faf-8557-4a3d17c583e4"
"""Of what kinprint names: an arbitrary UUID, which needs no domain that somebody may own tomorrow."""

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = f"urn:uuid:{NAMESPACE}#{FORMAT}"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
EVIDENCE = "kinprint:evidence"
"""The property of a CycloneDX component that holds what the predicate of a statement would."""

MAX_BYTES = 64_000_000
MAX_FILES = 10_000
MAX_FILE_NAME = 255
MAX_TESTS = 1000
SAME = 1e-6
"""Two log10 p-values of one computation differ by less, however they were written."""

Status = Literal["holds", "contradicted", "not-checked"]
Conclusion = Literal["holds", "contradicted", "not-testable"]
VERDICTS = ("identical", "related", "no-evidence", "untestable")
PLACES = ("ancestors", "descendants", "variants")

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StatementSide:
    """One model of a statement.

    Attributes:
        name: made printable.
        fingerprint: BLAKE3 in hex, of its fingerprint.
        files: name and SHA-256 of each file; empty where the statement names none.
    """

    name: str
    fingerprint: str
    files: frozenset[tuple[str, str]]


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
    reference: StatementSide
    suspect: StatementSide
    verdict: str
    log10_p: float | None
    alpha: float
    tests: tuple[float, ...]
    methods: tuple[str, ...]
    quick: tuple[str, ...]
    measured_with: Mapping[str, Any]
    disagreements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing that was checked: "files", "fingerprint", "verdict", "reference" or "comparison"; `reason` is for people."""

    what: str
    status: Status
    reason: str

    def to_json(self) -> dict[str, str]:
        return {"what": self.what, "status": self.status, "reason": self.reason}


@dataclass(frozen=True)
class AtHand:
    """A model at hand.

    Attributes:
        files: with digests; none of a `.kinprint` file.
        fingerprint: measures it, or gives what was measured.
    """

    files: Sequence[FileHash]
    fingerprint: Callable[[], Fingerprint]


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
    checks = [*_identity(statement.suspect, model, "files", "fingerprint"), _follows(statement)]
    if reference is not None and again is not None:
        same = _identity(statement.reference, reference, "reference", "reference")
        checks += same
        if any(check.status == "holds" for check in same):
            checks.append(_again(statement, again(), versions or {}))
    return StatementCheck(statement, tuple(checks))


# --- checks


def _identity(side: StatementSide, model: AtHand, files: str, fingerprint: str) -> list[Check]:
    """Whether a model at hand is the one that a statement speaks of: by its files, else by its fingerprint."""
    by_files = _files(side, model.files, files)
    if by_files.status != "not-checked":
        return [by_files]
    measured = model.fingerprint()
    if measured.digest == side.fingerprint:
        return [by_files, Check(fingerprint, "holds", f"the fingerprint of {side.name} that the statement names")]
    if not model.files:  # a file of a fingerprint, which nothing was measured for
        return [by_files, Check(fingerprint, "contradicted", f"not the fingerprint of {side.name} that the statement names")]
    reason = "the fingerprint differs; another processor or version may measure one that differs in its last bits"
    return [by_files, Check(fingerprint, "not-checked", reason)]


def _files(side: StatementSide, at_hand: Sequence[FileHash], what: str) -> Check:
    if not side.files:
        return Check(what, "not-checked", f"the statement names no files of {side.name}")
    if not at_hand:
        return Check(what, "not-checked", "there are no files at hand, only a fingerprint")
    hashes = {(printable(file.name, MAX_FILE_NAME), file.sha256) for file in at_hand if file.sha256}
    partial = {printable(file.name, MAX_FILE_NAME) for file in at_hand if not file.sha256}
    names, stated = {name for name, _ in hashes} | partial, {name for name, _ in side.files}
    changed = {name for name, _ in hashes - side.files} & stated
    wrong = [f"{name} differs from the statement's file" for name in sorted(changed)]
    wrong += [f"{name} is not in the statement" for name in sorted(names - stated)]
    wrong += [f"{name} is missing" for name in sorted({name for name, _ in side.files - hashes} - changed - partial)]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return Check(what, "contradicted", "; ".join(wrong[:3]) + more)
    if partial:
        return Check(what, "not-checked", f"only a part of {min(partial)} was fetched")
    return Check(what, "holds", f"all {len(hashes)} files have the digests that the statement gives")


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
    document = parse_object(read_bounded(path, MAX_BYTES), path, strict=True)
    try:
        if document.get("bomFormat") == "CycloneDX":
            return _of_bom(document, path)
        envelope = document.get("dsseEnvelope", document)
        if isinstance(envelope, dict) and "payload" in envelope:
            kind = "Sigstore bundle" if envelope is not document else "DSSE envelope"
            return _of_in_toto(_payload(envelope, path), kind, signed=True)
        return _of_in_toto(document, "in-toto statement", signed=False)
    except _Unfit as unfit:
        raise CheckpointError(path, str(unfit), "make one with `kinprint compare ... --in-toto FILE` or --cyclonedx") from None


class _Unfit(Exception):  # noqa: N818 - becomes a CheckpointError that names the file
    """The document does not state a comparison of kinprint; the message says why."""


def _payload(envelope: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise _Unfit(f"an envelope of {printable(envelope.get('payloadType'), 100)}, not of {PAYLOAD_TYPE}")
    return parse_object(_base64(envelope["payload"]), path, strict=True)


def _base64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError as error:
        raise _Unfit("damaged base64") from error


def _of_in_toto(statement: Mapping[str, Any], kind: str, *, signed: bool) -> Statement:
    if statement.get("_type") != STATEMENT_TYPE:
        raise _Unfit("neither an in-toto statement (v1) nor a CycloneDX document")
    if statement.get("predicateType") != PREDICATE_TYPE:
        raise _Unfit(f"a statement of type {printable(statement.get('predicateType'), 100)}, not of {PREDICATE_TYPE}")
    files = _resources(statement.get("subject"))
    if not files:
        raise _Unfit("a statement about no file")
    return _stated(_table(statement.get("predicate"), "predicate"), files, kind, signed=signed)


def _of_bom(bom: Mapping[str, Any], path: Path) -> Statement:
    component = _component(bom)
    properties = _properties(component)
    predicate = parse_object(str(properties.get(EVIDENCE)).encode(errors="replace"), path, strict=True)
    comparison = _table(predicate.get("comparison"), "comparison")
    wrong = [
        f"{name} is {printable(properties.get(name), 60)}, and {printable(stated, 60)} in its evidence"
        for name, stated in (
            ("kinprint:verdict", comparison.get("verdict")),
            ("kinprint:sentence", comparison.get("sentence")),
            ("kinprint:fingerprint:blake3", _table(comparison.get("suspect"), "suspect").get("digest")),
        )
        if properties.get(name) != stated
    ]
    wrong += [
        f"{name} is {printable(properties.get(name), 60)}, and {printable(stated, 60)} in its evidence"
        for name, stated in (("kinprint:log10_p", comparison.get("log10_p")), ("kinprint:alpha", comparison.get("alpha")))
        if _written(properties.get(name)) != _number(stated)
    ]
    return _stated(
        predicate, _components(component), "CycloneDX document", signed="signature" in bom,
        disagreements=[*wrong, *_pedigree(component, predicate)],
    )  # fmt: skip


def _component(bom: Mapping[str, Any]) -> Mapping[str, Any]:
    """The component that carries the evidence, among those of other tools."""
    described = _table(_table(bom.get("metadata", {}), "metadata").get("component", {}), "component")
    listed = [*_tables(bom.get("components"), "components"), described]
    carriers = [
        component
        for component in listed
        if any(p.get("name") == EVIDENCE for p in _tables(component.get("properties"), "properties"))
    ]
    if len(carriers) != 1:
        raise _Unfit(f"{len(carriers)} components with evidence of kinprint, one is expected")
    return carriers[0]


def _pedigree(component: Mapping[str, Any], predicate: Mapping[str, Any]) -> list[str]:
    """What the pedigree says that the evidence does not."""
    pedigree = _table(component.get("pedigree", {}), "pedigree")
    models = [model for place in PLACES for model in _tables(pedigree.get(place), place)]
    comparison = _table(predicate.get("comparison"), "comparison")
    related = comparison.get("verdict") in ("related", "identical")
    if len(models) != related:
        return [f"{len(models)} models in the pedigree, with the verdict {printable(comparison.get('verdict'), 60)}"]
    if not models:
        return []
    digest = _table(comparison.get("reference"), "reference").get("digest")
    stated, shown = _resources(predicate.get("reference_files")), _components(models[0])
    if _properties(models[0]).get("kinprint:fingerprint:blake3") != digest or stated != shown:
        return ["the model in the pedigree is not the reference of its evidence"]
    return []


def _stated(
    predicate: Mapping[str, Any],
    files: frozenset[tuple[str, str]],
    kind: str,
    *,
    signed: bool,
    disagreements: Sequence[str] = (),
) -> Statement:
    comparison = _table(predicate.get("comparison"), "comparison")
    if predicate.get("format") != FORMAT or comparison.get("format") != COMPARISON_FORMAT:
        raise _Unfit(f"not of the formats {FORMAT} and {COMPARISON_FORMAT}; a newer kinprint may read it")
    if comparison.get("verdict") not in VERDICTS:
        raise _Unfit("without a verdict")
    alpha = _number(comparison.get("alpha"))
    if alpha is None or not 0 < alpha < 1:
        raise _Unfit("without a level of significance")
    evidence = _tables(comparison.get("evidence"), "evidence")
    if len(evidence) > MAX_TESTS:
        raise _Unfit(f"evidence of {len(evidence):,} methods, more than the {MAX_TESTS:,} allowed")
    deciding = (item for item in evidence if item.get("kind") == "test" and not item.get("set_aside"))
    values = [_number(item.get("log10_p")) for item in deciding]
    tests = tuple(value for value in values if value is not None)
    if any(value > 0 for value in tests):
        raise _Unfit("with a probability above one")
    quick = _table(_table(comparison.get("context", {}), "context").get("quick", {}), "quick")
    return Statement(
        kind=kind,
        signed=signed,
        reference=_side(comparison, "reference", _resources(predicate.get("reference_files"))),
        suspect=_side(comparison, "suspect", files),
        verdict=str(comparison["verdict"]),
        log10_p=_number(comparison.get("log10_p")),
        alpha=alpha,
        tests=tests,
        methods=tuple(str(item.get("method")) for item in evidence),
        quick=tuple(side for side in ("reference", "suspect") if side in quick),
        measured_with=_table(predicate.get("measured_with"), "measured_with"),
        disagreements=tuple(disagreements),
    )


def _side(comparison: Mapping[str, Any], which: str, files: frozenset[tuple[str, str]]) -> StatementSide:
    model = _table(comparison.get(which), which)
    return StatementSide(printable(model.get("name")), printable(model.get("digest")), files)


def _resources(listed: object) -> frozenset[tuple[str, str]]:
    """in-toto's ResourceDescriptors."""
    return _named(
        [(file.get("name"), _table(file.get("digest"), "digest").get("sha256")) for file in _tables(listed, "list of files")]
    )


def _components(model: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The files among a component's components; none where the digest of one is not known."""
    files = [file for file in _tables(model.get("components"), "components") if file.get("type") == "file"]
    hashes = [(file.get("name"), _tables(file.get("hashes"), "hashes")) for file in files]
    known = [(name, file.get("content")) for name, digests in hashes for file in digests if file.get("alg") == "SHA-256"]
    return _named(known) if len(known) == len(files) else frozenset()


def _named(files: Sequence[tuple[object, object]]) -> frozenset[tuple[str, str]]:
    for name, digest in files:
        if not isinstance(name, str) or not name or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _Unfit(f"{printable(name, 100)}: a file with a name and a SHA-256 in lower-case hex is expected")
    return frozenset((printable(name, MAX_FILE_NAME), str(digest)) for name, digest in files)


def _properties(component: Mapping[str, Any]) -> dict[str, Any]:
    """CycloneDX lets a name appear twice; of two verdicts every reader could take another."""
    listed = _tables(component.get("properties"), "properties")
    properties = {str(item.get("name")): item.get("value") for item in listed}
    if len(properties) != len(listed):
        raise _Unfit("with a property that is given twice")
    return properties


def _table(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Unfit(f"its {what} is no object")
    return value


def _tables(value: object, what: str) -> list[dict[str, Any]]:
    """A list of objects; what is not there is empty."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _Unfit(f"its {what} is no list of objects")
    if len(value) > MAX_FILES:
        raise _Unfit(f"its {what} has {len(value):,} items, more than the {MAX_FILES:,} allowed")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unfit(f"{printable(value, 60)} stands where a number is expected")
    try:
        number = float(value)
    except OverflowError as error:
        raise _Unfit("with a number that is not finite") from error
    if not math.isfinite(number):
        raise _Unfit("with a number that is not finite")
    return number


def _written(text: object) -> float | str | None:
    """A number as a property holds it."""
    if text == "null":
        return None
    try:
        return float(str(text))
    except ValueError:
        return printable(text, 60)
