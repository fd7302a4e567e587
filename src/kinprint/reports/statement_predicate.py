"""What a comparison says, for documents that are passed on and signed: the same object in every kind of document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from kinprint._version import __version__
from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import Comparison
from kinprint.errors import ReportError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.library.declarations.declaration import same_name
from kinprint.library.declarations.in_toto import MAX_FILE_NAME
from kinprint.library.declarations.statements import FORMAT
from kinprint.reports import comparison_words as words

Place = Literal["ancestors", "descendants", "variants"]

DIRECTIONS: Mapping[Place, str] = {
    "ancestors": "not measured; the suspect's card names the reference as its base",
    "descendants": "not measured; the reference's card names the suspect as its base",
    "variants": "not measured",
}
"""Where the other model stands in a pedigree -> what is known about who came first."""


def predicate(comparison: Comparison, reference_files: Sequence[FileHash], when: datetime | None = None) -> dict[str, Any]:
    """The object, as docs/supply-chain.md describes it.

    Where models lie on this machine is left out: whoever reads the document has no use for it.

    Args:
        comparison: what was found.
        reference_files: the reference's files with digests, where they are at hand.
        when: of the comparison, if the document shall say so.
    """
    stated = comparison.to_json()
    for side, model in (("reference", comparison.reference), ("suspect", comparison.suspect)):
        stated[side]["source"] = stated[side]["source"] if model.provenance.get("revision") else None
    return {
        "format": FORMAT,
        "comparison": stated,
        "direction": DIRECTIONS[place(comparison)],
        "does_not_mean": words.MEANS_NOT[comparison.verdict],
        "reference_files": resources(reference_files),
        "measured_with": {"kinprint": __version__, "traits": TRAIT_VERSION},
        **({} if when is None else {"made": timestamp(when)}),
    }


def resources(files: Sequence[FileHash]) -> list[dict[str, Any]]:
    """Files as in-toto's ResourceDescriptors, in the order of their names; none where the digest of one is not known."""
    if not all(file.sha256 for file in files):
        return []
    return [
        {
            "name": printable(file.name, MAX_FILE_NAME),
            "digest": {"sha256": file.sha256},
            **({"annotations": {"note": printable(file.note)}} if file.note else {}),
        }
        for file in sorted(files, key=lambda file: (file.name, file.sha256))
    ]


def require_files(model: str, files: Sequence[FileHash]) -> None:
    """Refuse a statement about files of a model that are not all known.

    Raises:
        ReportError: the digest of one is not, or there are none.
    """
    if not files:
        problem = "a statement is about files, and these are not at hand"
        raise ReportError(model, problem, "give the checkpoint instead of its fingerprint")
    unknown = next((file.name for file in files if not file.sha256), None)
    if unknown is not None:
        problem = f"the digest of {unknown} is not known, since only a part of it was fetched"
        raise ReportError(model, problem, "download the model first")


def timestamp(when: datetime) -> str:
    """RFC 3339, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def place(comparison: Comparison) -> Place:
    """What the reference may be called in the suspect's pedigree. Tests do not see who came first; cards may say it."""
    ours = _names(comparison.suspect, comparison.reference)
    theirs = _names(comparison.reference, comparison.suspect)
    if ours == theirs:
        return "variants"
    return "ancestors" if ours else "descendants"


def _names(model: Fingerprint, other: Fingerprint) -> bool:
    """Whether the card of a model names another one as its base; revisions are left out."""
    bases = model.provenance.get("base_model")
    named = [base for base in (bases if isinstance(bases, list) else [bases]) if isinstance(base, str)]
    known = other.name, str(other.provenance.get("source") or "")
    return any(same_name(base.partition("@")[0], name.partition("@")[0]) for base in named for name in known)
