"""Relatives that somebody has looked at and accepted, with a reason and a last day: no verdict changes, but no gate closes.

    [[accepted]]
    relative = "Qwen/Qwen2.5-7B"        # its name, or blake3:DIGEST of its fingerprint
    model = "our-model"                 # as well; any model where it is left out
    reason = "our base; contract 12/2026"
    expires = 2027-06-30

Names are anybody's to choose, so a model that shall hide may bear an accepted one: a digest cannot be borrowed. The file is
read where the user names it and nowhere else, for whoever hands over a folder of weights could put one into it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import read_bounded
from kinprint.errors import ReportError, printable
from kinprint.reports.findings.finding import Finding, Findings, Model

MOST = 1_000_000
"""Bytes of such a file."""

KEYS = {"relative", "model", "reason", "expires"}


@dataclass(frozen=True)
class Acceptance:
    """One entry.

    Attributes:
        relative: name, or `blake3:` and the digest of the fingerprint, of what the model may share weights with.
        reason: why.
        expires: the last day on which this holds.
        model: the same of the model that was examined; "" for any.
    """

    relative: str
    reason: str
    expires: date
    model: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is about these two; of a comparison, whichever is the suspect."""
        if finding.other is None:
            return False
        pairs = ((finding.other, finding.model), (finding.model, finding.other))
        return any(_is(self.relative, one) and (not self.model or _is(self.model, two)) for one, two in pairs)


def read_accepted(path: Path) -> tuple[Acceptance, ...]:
    """The entries of a file.

    Raises:
        CheckpointError: it cannot be read, or is too large.
        ReportError: it is no TOML, or an entry lacks a relative, a reason or a last day.
    """
    try:
        stated = tomllib.loads(read_bounded(path, MOST).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(path, f"is no TOML: {printable(error, 200)}", "docs/pipelines.md shows one") from error
    entries = stated.get("accepted")
    if set(stated) != {"accepted"} or not isinstance(entries, list):
        raise ReportError(path, "has to consist of [[accepted]] entries", "docs/pipelines.md shows one")
    return tuple(_entry(path, number, entry) for number, entry in enumerate(entries, 1))


def mark(found: Findings, entries: Sequence[Acceptance], today: date) -> tuple[Findings, list[Acceptance]]:
    """The findings, those about shared weights marked that an entry covers; and entries that have expired and would cover one.

    A declaration that is contradicted cannot be accepted: it is to be corrected.
    """
    expired: list[Acceptance] = []
    marked: list[Finding] = []
    for finding in found.findings:
        covering = [entry for entry in entries if _may_be_accepted(finding) and entry.covers(finding)]
        valid = next((entry for entry in covering if entry.expires >= today), None)
        if valid is None:
            expired += [entry for entry in covering if entry not in expired]
            marked.append(finding)
        else:
            marked.append(replace(finding, accepted=(valid.reason, valid.expires)))
    return replace(found, findings=tuple(marked)), expired


def _may_be_accepted(finding: Finding) -> bool:
    return finding.outcome == "shared" or finding.word == "undeclared-relative"


def _is(text: str, model: Model) -> bool:
    if text.startswith("blake3:"):
        return bool(model.digest) and text.removeprefix("blake3:") == model.digest
    return text == model.name


def _entry(path: Path, number: int, entry: Any) -> Acceptance:
    where = f"entry {number}"
    if not isinstance(entry, dict):
        raise ReportError(path, f"{where} is no table", "docs/pipelines.md shows one")
    strange = sorted(set(entry) - KEYS)
    if strange:
        problem = f"{where} has {printable(strange[0], 60)}, which means nothing"
        raise ReportError(path, problem, f"an entry takes {', '.join(sorted(KEYS))}")
    for key in ("relative", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise ReportError(path, f"{where} states no {key}", "every entry says what is accepted, why, and until when")
    if not isinstance(entry.get("model", ""), str):
        raise ReportError(path, f"{where}: model is no text", "give a name, or blake3:DIGEST")
    expires = entry.get("expires")
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise ReportError(path, f"{where} states no last day", "expires = 2027-06-30, without quotes")
    return Acceptance(entry["relative"], printable(entry["reason"], 300), expires, entry.get("model", ""))
