"""Findings as a table in Markdown: for the summary of a run, or a comment on a change."""

from __future__ import annotations

import re

from kinprint.errors import printable
from kinprint.reports.findings.finding import Findings
from kinprint.words import p_value

MOST = 50
"""Lines of the table; the other formats have all."""


def render(found: Findings) -> str:
    """A sentence, then a table."""
    lines = [_text(found.sentence), "", "| model | held against | finding | p |", "|---|---|---|---|"]
    for finding in found.findings[:MOST]:
        other = "" if finding.other is None else _text(finding.other.name)
        word = finding.word
        if finding.accepted is not None:
            word += f", accepted until {finding.accepted[1].isoformat()}: {_text(finding.accepted[0])}"
        lines.append(f"| {_text(finding.model.name)} | {other} | {word} | {_text(_p(finding.log10_p))} |")
    left = len(found.findings) - MOST
    if left > 0:
        lines += ["", f"and {left:,} more: `--format csv` has all"]
    return "\n".join(lines) + "\n"


def _p(log10_p: float | None) -> str:
    return "" if log10_p is None else p_value(log10_p)


def _text(text: str) -> str:
    """A stranger's words as plain text: no link, no picture, no mention of people."""
    return re.sub(r"([\\`*_\[\]<>#|~@&])", r"\\\1", printable(text, 1000))
