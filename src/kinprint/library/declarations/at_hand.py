"""Is the model at hand the one that a document is about? By the digests of its files, else by that of its fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from kinprint.checkpoints.hashes import FileHash
from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint
from kinprint.library.declarations.in_toto import MAX_FILE_NAME

Status = Literal["holds", "contradicted", "not-checked"]
Conclusion = Literal["holds", "contradicted", "not-testable"]


@dataclass(frozen=True)
class Described:
    """A model as a document describes it.

    Attributes:
        name: made printable.
        fingerprint: BLAKE3 in hex, of its fingerprint.
        files: name and SHA-256 of each file; empty where the document names none.
    """

    name: str
    fingerprint: str
    files: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Check:
    """One thing that was checked ("files", "verdict", "time" ...); `reason` is for people."""

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


def identity(described: Described, model: AtHand, files: str, fingerprint: str) -> list[Check]:
    """Whether a model at hand is the one that a statement speaks of: by its files, else by its fingerprint."""
    by_files = _files(described, model.files, files)
    if by_files.status != "not-checked":
        return [by_files]
    measured = model.fingerprint()
    if measured.digest == described.fingerprint:
        return [by_files, Check(fingerprint, "holds", f"the fingerprint of {described.name} that the statement names")]
    if not model.files:  # a file of a fingerprint, which nothing was measured for
        return [
            by_files,
            Check(fingerprint, "contradicted", f"not the fingerprint of {described.name} that the statement names"),
        ]
    reason = "the fingerprint differs; another processor or version may measure one that differs in its last bits"
    return [by_files, Check(fingerprint, "not-checked", reason)]


def about(described: Described, model: AtHand) -> list[Check]:
    """Whether a document is about the model at hand: by files, else by weights, since cards change after publication."""
    checks = identity(described, model, "files", "fingerprint")
    if checks[0].status != "contradicted" or model.fingerprint().digest != described.fingerprint:
        return checks
    differs = Check("files", "not-checked", f"{checks[0].reason}; the weights are the same")
    return [differs, Check("fingerprint", "holds", f"the fingerprint of {described.name} that the statement names")]


def same_files(described: Described, model: AtHand) -> bool:
    """Whether the files at hand are those that a document names."""
    return _files(described, model.files, "files").status == "holds"


def _files(described: Described, at_hand: Sequence[FileHash], what: str) -> Check:
    if not described.files:
        return Check(what, "not-checked", f"the statement names no files of {described.name}")
    if not at_hand:
        return Check(what, "not-checked", "there are no files at hand, only a fingerprint")
    hashes = {(printable(file.name, MAX_FILE_NAME), file.sha256) for file in at_hand if file.sha256}
    partial = {printable(file.name, MAX_FILE_NAME) for file in at_hand if not file.sha256}
    names, stated = {name for name, _ in hashes} | partial, {name for name, _ in described.files}
    changed = {name for name, _ in hashes - described.files} & stated
    wrong = [f"{name} differs from the statement's file" for name in sorted(changed)]
    wrong += [f"{name} is not in the statement" for name in sorted(names - stated)]
    wrong += [f"{name} is missing" for name in sorted({name for name, _ in described.files - hashes} - changed - partial)]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return Check(what, "contradicted", "; ".join(wrong[:3]) + more)
    if partial:
        return Check(what, "not-checked", f"only a part of {min(partial)} was fetched")
    return Check(what, "holds", f"all {len(hashes)} files have the digests that the statement gives")
