"""Findings as CSV (RFC 4180), one a line."""

from __future__ import annotations

import csv
import io

from kinprint.reports.findings.finding import Findings
from kinprint.words import spreadsheet_cell

COLUMNS = ("model", "other", "finding", "log10_p", "sentence", "accepted", "expires", "model_digest", "other_digest")


def render(found: Findings) -> str:
    """The table; a text that a spreadsheet would run as a formula begins with an apostrophe."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for finding in found.findings:
        other = finding.other
        reason, expires = ("", "") if finding.accepted is None else (finding.accepted[0], finding.accepted[1].isoformat())
        p = "" if finding.log10_p is None else f"{finding.log10_p:.6g}"
        named = (spreadsheet_cell(finding.model.name), "" if other is None else spreadsheet_cell(other.name))
        said = (spreadsheet_cell(finding.sentence), spreadsheet_cell(reason), expires)
        rows.writerow((*named, finding.word, p, *said, finding.model.digest, "" if other is None else other.digest))
    return text.getvalue()
