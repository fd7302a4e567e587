"""What was found about a statement, as terminal text."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.errors import printable
from kinprint.library.declarations.statements import StatementCheck
from kinprint.words import p_value

COLOURS = {
    "holds": "bold green",
    "contradicted": "bold red",
    "not-testable": "bold yellow",
    "not-checked": "yellow",
}
SIGNATURES = {
    True: "It carries a signature, which is not checked here: cosign, sigstore and model-signing do (docs/supply-chain.md).",
    False: "It carries no signature: whoever can write the file can have written anything.",
}


def statement_text(checked: StatementCheck) -> RenderableType:
    """The conclusion, what is stated, and every check. All that comes from the document is plain text."""
    statement = checked.statement
    p = "" if statement.log10_p is None else f" (p {p_value(statement.log10_p)})"
    states = f"{statement.kind}: {statement.suspect.name}, compared with {statement.reference.name}: {statement.verdict}{p}."
    conclusion = Text(checked.conclusion.upper(), style=COLOURS[checked.conclusion])
    head = Group(conclusion, Text(printable(states, 1000)), Text(SIGNATURES[statement.signed]))
    table = Table(box=box.SIMPLE_HEAD, title="Checked", title_justify="left", title_style="bold")
    for column in ("what", "outcome", "reason"):
        table.add_column(column, overflow="fold")
    for check in checked.checks:
        table.add_row(check.what, Text(check.status, style=COLOURS[check.status]), Text(printable(check.reason, 1000)))
    return Group(Panel(head, box=box.ROUNDED, padding=(0, 1)), table)
