"""Findings as SARIF 2.1.0 (OASIS), which hosts of code show beside the files.

Shared weights are neither right nor wrong, so such a finding is of the kind "review"; what contradicts a declaration is of
the kind "fail". Accepted ones are suppressed, with the reason.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from kinprint._version import __version__
from kinprint.json_numbers import finite
from kinprint.reports.findings.finding import Finding, Findings, Model, Outcome

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

KINDS: dict[Outcome, str] = {"contradicted": "fail", "shared": "review", "clear": "pass", "open": "open"}
"""What a finding asks of a reader -> the word of SARIF, section 3.27.9."""

RULES: dict[Outcome, str] = {
    "contradicted": "What a model, or its owner, states does not agree with its weights.",
    "shared": "Two models share weights. Whether they may is for people to say.",
    "clear": "Nothing was found, as far as the tests see.",
    "open": "It could not be tested.",
}


def render(found: Findings) -> str:
    """One run with one result a finding; the same bytes for the same findings."""
    rules = [
        {"id": f"kinprint/{outcome}", "name": outcome.capitalize(), "shortDescription": {"text": text}}
        for outcome, text in RULES.items()
    ]
    driver = {"name": "kinprint", "version": __version__, "semanticVersion": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"kinprint/{found.command}/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in found.findings],
        "properties": {"sentence": found.sentence},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, allow_nan=False) + "\n"


def _result(finding: Finding) -> dict[str, Any]:
    kind = KINDS[finding.outcome]
    return {
        "ruleId": f"kinprint/{finding.outcome}",
        "ruleIndex": list(RULES).index(finding.outcome),
        "kind": kind,
        "level": "error" if kind == "fail" else "none",
        "message": {"text": finding.sentence},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(finding.model)}}}],
        "partialFingerprints": {"kinprint/v1": _same(finding)},
        "suppressions": [] if finding.accepted is None else [_suppression(finding)],
        "properties": {
            "finding": finding.word,
            "model": finding.model.name,
            "other": None if finding.other is None else finding.other.name,
            "log10_p": finite(finding.log10_p),
        },
    }


def _suppression(finding: Finding) -> dict[str, str]:
    reason, expires = finding.accepted or ("", "")
    return {"kind": "external", "status": "accepted", "justification": f"{reason} (until {expires})"}


def _uri(model: Model) -> str:
    """Where the model lies, if below the folder that the command ran in; else its name, for others have no use for a path of
    this machine."""
    path = PurePosixPath(model.place.replace("\\", "/"))
    below = model.place and not path.is_absolute() and ".." not in path.parts and ":" not in model.place
    return quote(str(path) if below else model.name)


def _same(finding: Finding) -> str:
    """What stays the same from run to run, so that hosts know a finding again."""
    other = "" if finding.other is None else finding.other.digest or finding.other.name
    about = "\n".join((finding.outcome, finding.model.digest or finding.model.name, other))
    return hashlib.sha256(about.encode()).hexdigest()
