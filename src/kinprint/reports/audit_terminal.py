"""An audit as terminal text: the conclusion, a line a question, a line for places that are broken or could not be tested."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from kinprint.auditing.findings import ABOUT, CANNOT_SHOW, Audit, AuditFinding
from kinprint.errors import printable
from kinprint.reports import looks
from kinprint.words import p_value

LOOKS = {"holds": looks.FOUND, "broken": looks.FOUND, "not-testable": looks.FAULT}
SHOWN = 3
"""Places of one question that are named."""


def audit_text(audit: Audit) -> RenderableType:
    """At most 40 lines of a wide terminal; JSON and the page have every finding."""
    state = audit.conclusion
    head = Group(Text(state.upper(), style=LOOKS[state]), Text(printable(audit.sentence(), 1000)))
    ends = f"{audit.stages[0].name} to {audit.stages[-1].name}, {len(audit.stages)} checkpoints"
    panel = Panel(head, title=Text(printable(ends)), box=box.ROUNDED, padding=(0, 1))
    return Group(panel, *answers(audit))


def answers(audit: Audit) -> list[RenderableType]:
    """What was asked and found, and what no audit shows."""
    pieces: list[RenderableType] = []
    for about, words in ABOUT.items():
        findings = audit.of(about)
        if not findings:
            continue
        worst = audit.state_of(about)
        pieces.append(Text.assemble((f"{worst:<12}", LOOKS[worst]), f"  {words}{_strength(audit, findings)}"))
        told = [finding for finding in findings if finding.state != "holds"] or _one(findings)
        pieces.extend(Text(f"    {line(finding)}") for finding in told[:SHOWN])
        if len(told) > SHOWN:
            pieces.append(Text(f"    {len(told) - SHOWN} more: --json has all"))
    if not audit.of("outsiders"):
        pieces.append(Text("not asked     neither end is kin to another model: name some (--against, --library)", style="dim"))
    pieces.append(Text("What this cannot show", style="bold"))
    pieces.extend(Text(f"  - {each}", style="dim") for each in CANNOT_SHOW)
    return pieces


def line(finding: AuditFinding) -> str:
    """One finding in one line."""
    p = "" if finding.log10_p is None else f" (p {p_value(finding.log10_p, exact=True)})"
    return printable(f"{finding.where}: {finding.words}{p}" if finding.where else f"{finding.words}{p}", 600)


def _strength(audit: Audit, findings: list[AuditFinding]) -> str:
    if findings[0].about == "kinship" and audit.weakest is not None:
        return f" (weakest link p {p_value(audit.weakest, exact=True)})"
    return ""


def _one(findings: list[AuditFinding]) -> list[AuditFinding]:
    """Of a question that holds, the finding without a place: it speaks of the chain."""
    return [finding for finding in findings if not finding.where]
