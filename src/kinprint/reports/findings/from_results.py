"""Findings of every kind of result. A result says what it found; what that asks of a reader is said here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from kinprint.errors import printable
from kinprint.reports.findings.finding import Finding, Findings, Model, Outcome

if TYPE_CHECKING:
    from kinprint.auditing.findings import Audit
    from kinprint.blackbox.result import BlackBoxResult
    from kinprint.checkpoints.hashes import FileHash
    from kinprint.comparison import Comparison
    from kinprint.difference.changes import Changes
    from kinprint.fingerprints import Fingerprint
    from kinprint.library.declarations.verify import Verification
    from kinprint.library.identify import Identification
    from kinprint.library.matrix import Matrix
    from kinprint.library.merges.gather_result import Gathering
    from kinprint.library.trees.tree import Forest

Files = Callable[[], "Sequence[FileHash]"]

OF_VERDICT: Mapping[str, Outcome] = {"identical": "shared", "related": "shared", "no-evidence": "clear", "untestable": "open"}
OF_STATUS: Mapping[str, Outcome] = {
    "confirmed": "clear",
    "contradicted": "contradicted",
    "not-testable": "open",
    "not-found": "open",
    "nothing-declared": "clear",
}
OF_ANSWERS: Mapping[str, Outcome] = {
    "descends": "shared",
    "same-head": "shared",
    "same-deployment": "clear",
    "closer-than-controls": "open",  # another reason than descent may make a model the closest
    "no-evidence": "clear",
    "refuted": "clear",
    "untestable": "open",
}
STATED: Mapping[tuple[str, str], Outcome] = {("same-endpoint", "refuted"): "contradicted"}
"""Where a test of answers asks whether a statement holds: what its suspect serves."""

OF_STATE: Mapping[str, Outcome] = {"holds": "clear", "broken": "contradicted", "not-testable": "open"}


def of_comparison(found: Comparison, places: tuple[str, str], files: Files, own: Mapping[str, Callable[[], str]]) -> Findings:
    """Of `compare`: one finding, about the suspect.

    Args:
        places: of reference and suspect, as the user named them.
        files: gives the suspect's.
        own: documents that comparisons have of their own, by format.
    """
    reference, suspect = (_of(model, place) for model, place in zip((found.reference, found.suspect), places, strict=True))
    one = Finding(suspect, reference, found.verdict, OF_VERDICT[found.verdict], found.log10_p, found.sentence())
    return Findings("compare", found.sentence(), (one,), found.to_json, files, own)


def of_identification(found: Identification, place: str, files: Files) -> Findings:
    """Of `identify`: one for each model that was looked at; one that says so where there was none."""
    suspect = _of(found.suspect, place)
    each = [
        Finding(
            suspect,
            Model(other.name, other.digest),
            other.verdict,
            OF_VERDICT[other.verdict],
            other.log10_p,
            _pair(suspect.name, other.name, other.verdict),
        )
        for other in found.findings
    ]
    alone = Finding(suspect, None, found.verdict, OF_VERDICT[found.verdict], None, found.sentence())
    return Findings("identify", found.sentence(), tuple(each) or (alone,), found.to_json, files)


def of_matrix(found: Matrix) -> Findings:
    """Of `matrix`: one a pair, related ones first."""
    models = [Model(name, digest) for name, digest in zip(found.names, found.digests, strict=True)]
    cells = sorted(found.cells, key=lambda cell: (not cell.related, cell.log10_p or 0.0))
    each = [
        Finding(
            models[cell.b],
            models[cell.a],
            cell.verdict,
            OF_VERDICT[cell.verdict],
            cell.log10_p,
            _pair(models[cell.b].name, models[cell.a].name, cell.verdict),
        )
        for cell in cells
    ]
    return Findings("matrix", found.sentence(), tuple(each), found.to_json)


def of_tree(found: Forest) -> Findings:
    """Of `tree`: one for each pair that the tests related, and one for each model without relatives."""
    models = [Model(label, digest) for label, digest in zip(found.labels, found.digests, strict=True)]
    each = [
        Finding(models[b], models[a], "related", "shared", log10_p, _pair(models[b].name, models[a].name, "related"))
        for a, b, log10_p in found.relations.links
    ]
    each += [
        Finding(models[model], None, "no-evidence", "clear", None, f"{models[model].name} is related to none of the others.")
        for model in found.singletons
    ]
    return Findings("tree", f"{found.headline()}. {found.summary()}", tuple(each), found.to_json)


def of_gathering(found: Gathering, place: str, files: Files) -> Findings:
    """Of `gather`: one for each part."""
    suspect = _of(found.suspect, place)
    each = [
        Finding(suspect, _of(part.model), "part", "shared", None, f"{part.model.name} is a part of {suspect.name}.")
        for part in found.parents
    ]
    open_ = found.kind == "untestable"
    alone = Finding(suspect, None, found.kind, "open" if open_ else "clear", None, found.sentence())
    return Findings("gather", found.sentence(), tuple(each) or (alone,), found.to_json, files)


def of_verifications(
    found: Mapping[Model, Verification],
    document: Callable[[], Mapping[str, object]],
    files: Files,
    unreadable: Mapping[Model, str] = MappingProxyType({}),
) -> Findings:
    """Of `verify`: one for each declaration, and one for each relative that nobody declares.

    Args:
        found: what was found of each model.
        document: gives what the command prints as JSON.
        files: gives those of the model; none of a mirror's.
        unreadable: models that could not be read, and why.
    """
    each: list[Finding] = []
    for model, verification in found.items():
        for one in verification.findings:
            base = Model(printable(one.declaration.text, 200))
            each.append(Finding(model, base, one.status, OF_STATUS[one.status], one.log10_p, one.reason))
        for relative in verification.relatives:
            says = f"{model.name} shares weights with {relative.name}, and declares it nowhere."
            other = Model(relative.name)
            each.append(Finding(model, other, "undeclared-relative", "contradicted", relative.log10_p, says))
        if not verification.findings and not verification.relatives:
            each.append(Finding(model, None, verification.conclusion, "clear", None, verification.sentence()))
    each += [Finding(model, None, "unreadable", "open", None, why) for model, why in unreadable.items()]
    sentences = [verification.sentence() for verification in found.values()]
    sentence = sentences[0] if len(sentences) == 1 else f"{len(found)} models were verified."
    return Findings("verify", sentence, tuple(each), document, files)


def of_audit(found: Audit, place: str, files: Files, own: Mapping[str, Callable[[], str]]) -> Findings:
    """Of `audit`: one for everything that was asked, at the place of the chain where it was asked."""
    release = Model(found.stages[-1].name, found.digests[-1], place)
    each = [
        Finding(
            release, None, one.state, OF_STATE[one.state], one.log10_p, f"{one.where}: {one.words}" if one.where else one.words
        )
        for one in found.findings
    ]
    return Findings("audit", found.sentence(), tuple(each), found.to_json, files, own)


def of_black_box(found: BlackBoxResult, place: str) -> Findings:
    """Of a test of a model that only answers: one, about the suspect.

    Args:
        place: of the suspect, as the user named it; "" where a server answers.
    """
    outcome = STATED.get((found.test, found.verdict), OF_ANSWERS[found.verdict])
    suspect, reference = Model(found.suspect, place=place), Model(found.reference)
    one = Finding(suspect, reference, found.verdict, outcome, found.log10_p, found.sentence)
    return Findings(f"black-box {found.test}", found.sentence, (one,), found.to_json)


def of_changes(found: Changes) -> Findings:
    """Of `diff`: one, about the suspect: what the change is like. Without weights in common there is nothing to show."""
    from kinprint.reports.difference_words import accuracy

    reference, suspect = (
        Model(name, place=place) for name, place in zip((found.reference, found.suspect), found.sources, strict=True)
    )
    sentence = f"{found.reading.words} {accuracy(found)}"
    return Findings(
        "diff", sentence, (Finding(suspect, reference, found.reading.word, "shared", None, sentence),), found.to_json
    )


def _of(model: Fingerprint, place: str = "") -> Model:
    return Model(model.name, model.digest, place)


def _pair(model: str, other: str, verdict: str) -> str:
    """What a verdict says of two models, where a command has no sentence of its own for each pair."""
    says = {
        "identical": f"{model} holds the weights of {other}.",
        "related": f"{model} and {other} share initial or trained weights. Which was first is not tested.",
        "no-evidence": f"The tests saw no evidence that {model} and {other} share weights.",
        "untestable": f"No test applies to {model} and {other}.",
    }
    return says[verdict]
