"""Findings as CSV (RFC 4180), one a line."""

from __future__ import annotations

import csv
import io

from kinprint.reports.findings.finding import Findings

COLUMNS = ("model", "other", "finding", "log10_p", "sentence", "accepted", "expires", "model_digest", "other_digest")

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""


def render(found: Findings) -> str:
    """The table; a text that a spreadsheet would run as a formula begins with an apostrophe."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for finding in found.findings:
        other = finding.other
        reason, expires = ("", "") if finding.accepted is None else (finding.accepted[0], finding.accepted[1].isoformat())
        p = "" if finding.log10_p is None else f"{finding.log10_p:.6g}"
        named = (_harmless(finding.model.name), "" if other is None else _harmless(other.name))
        said = (_harmless(finding.sentence), _harmless(reason), expires)
        rows.writerow((*named, finding.word, p, *said, finding.model.digest, "" if other is None else other.digest))
    return text.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
