"""What was found about a statement, a commitment or an audit that somebody wrote down, as terminal text."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.auditing.statements import AuditCheck
from kinprint.errors import printable
from kinprint.library.declarations.at_hand import Check
from kinprint.library.declarations.commitments import CommitmentCheck
from kinprint.library.declarations.statements import StatementCheck
from kinprint.reports import looks
from kinprint.reports.audit_terminal import answers
from kinprint.words import p_value

LOOKS = {"holds": looks.FOUND, "contradicted": looks.FOUND, "not-testable": looks.FAULT, "not-checked": "yellow"}
SIGNATURES = {
    True: "It carries a signature, which is not checked here: cosign, sigstore and model-signing do (docs/supply-chain.md).",
    False: "It carries no signature: whoever can write the file can have written anything.",
}


def statement_text(checked: StatementCheck) -> RenderableType:
    """The conclusion, what is stated, and every check. All that comes from the document is plain text."""
    statement = checked.statement
    p = "" if statement.log10_p is None else f" (p {p_value(statement.log10_p)})"
    states = f"{statement.kind}: {statement.suspect.name}, compared with {statement.reference.name}: {statement.verdict}{p}."
    conclusion = Text(checked.conclusion.upper(), style=LOOKS[checked.conclusion])
    head = Group(conclusion, Text(printable(states, 1000)), Text(SIGNATURES[statement.signed]))
    return Group(Panel(head, box=box.ROUNDED, padding=(0, 1)), _table(checked.checks))


def commitment_text(checked: CommitmentCheck) -> RenderableType:
    """The same of a commitment."""
    commitment, stamp = checked.stamped.commitment, checked.stamped.stamp
    hidden = "" if commitment.opening is None else "hidden "
    about = "a model that is not shown" if checked.model is None else checked.model.name
    states = f"{commitment.kind}: a {hidden}commitment to {about}."
    conclusion = Text(checked.conclusion.upper(), style=LOOKS[checked.conclusion])
    head = Group(conclusion, Text(printable(states, 1000)), Text(SIGNATURES[commitment.signed]))
    untimed = [] if stamp is not None else [Text("No time stamp was given (--timestamp): nothing here says when it was made.")]
    return Group(Panel(Group(head, *untimed), box=box.ROUNDED, padding=(0, 1)), _table(checked.checks))


def audit_check_text(checked: AuditCheck) -> RenderableType:
    """The same of an audit, and what it says that was found."""
    statement, audit = checked.statement, checked.statement.audit
    first, last = audit.stages[0].label, audit.stages[-1].label
    states = f"{statement.kind}: an audit of {len(audit.stages)} checkpoints, {first} to {last}: {audit.conclusion}."
    made = f"Made {statement.made}, as it says itself." if statement.made else "It does not say when it was made."
    lines = [states, audit.sentence(), made, SIGNATURES[statement.signed]]
    conclusion = Text(checked.conclusion.upper(), style=LOOKS[checked.conclusion])
    head = Group(conclusion, *(Text(printable(each, 1000)) for each in lines))
    said = Text("What the document says was found", style="bold")
    return Group(Panel(head, box=box.ROUNDED, padding=(0, 1)), _table(checked.checks), said, *answers(audit))


def _table(checks: Iterable[Check]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Checked", title_justify="left", title_style="bold")
    for column in ("what", "outcome", "reason"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.what, Text(check.status, style=LOOKS[check.status]), Text(printable(check.reason, 1000)))
    return table
