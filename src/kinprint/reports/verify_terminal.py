"""Verifications as terminal text. Every name and every reason is shown as plain text, without markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.errors import printable
from kinprint.library.declarations.verify import Verification
from kinprint.reports import looks
from kinprint.words import p_value

LOOKS = {
    "confirmed": looks.FOUND,
    "contradicted": looks.FOUND,
    "undeclared-relative": looks.FOUND,
    "not-testable": looks.FAULT,
    "not-found": looks.FAULT,
    "nothing-declared": looks.NOTHING,
    "unreadable": looks.FAULT,
}


def verification_text(verification: Verification) -> RenderableType:
    """The conclusion, then every declaration with its reason, then undeclared relatives."""
    conclusion = Text(verification.conclusion.upper(), style=LOOKS[verification.conclusion])
    head = Group(conclusion, Text(verification.sentence()))
    pieces: list[RenderableType] = [Panel(head, title=Text(printable(verification.model)), box=box.ROUNDED, padding=(0, 1))]
    pieces.extend(_declarations(verification))
    for relative in verification.relatives:
        where = f" ({printable(relative.source)})" if relative.source and relative.source != relative.name else ""
        how = "the same weights" if relative.identical else f"p {p_value(relative.log10_p)}"
        by_part = f". {relative.by_part}" if relative.by_part else ""
        pieces.append(Text(f"Undeclared relative: {printable(relative.name)}{where}, {how}{by_part}"))
    if verification.searched:
        pieces.append(Text(f"Looked for undeclared relatives among {verification.searched:,} models.", style="dim"))
    if verification.itself:
        pieces.append(Text(f"{printable(verification.itself)} among them has these very weights and this name."))
    pieces.extend(Text(finding.sentence()) for finding in verification.licences)
    if verification.called:
        pieces.append(Text(f"Its weights file calls it {verification.called}; that is not tested.", style="dim"))
    pieces.extend(Text(f"Note: {printable(note)}", style="yellow") for note in verification.notes)
    return Group(*pieces)


def verifications_text(
    verifications: Sequence[Verification], unreadable: dict[str, str], circles: Iterable[Sequence[str]]
) -> RenderableType:
    """One row a model, then what stands behind every row that is not well, then circles."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("model", "conclusion", "declared bases"):
        table.add_column(column, overflow="fold")
    for verification in verifications:
        bases = ", ".join(finding.declaration.text for finding in verification.findings) or "–"
        table.add_row(
            Text(printable(verification.model)),
            Text(verification.conclusion, style=LOOKS[verification.conclusion]),
            Text(printable(bases)),
        )
    for model in unreadable:
        table.add_row(Text(printable(model)), Text("unreadable", style=LOOKS["unreadable"]), Text("–"))
    pieces: list[RenderableType] = [table]
    pieces.extend(
        verification_text(verification)
        for verification in verifications
        if verification.conclusion not in ("confirmed", "nothing-declared")
    )
    pieces.extend(Text(f"{printable(model)}: {printable(reason)}", style="yellow") for model, reason in unreadable.items())
    pieces.extend(
        Text(f"Made from each other, as they say: {printable(', '.join(circle))}. One of them cannot be.", style="yellow")
        for circle in circles
    )
    return Group(*pieces)


def _declarations(verification: Verification) -> Iterator[Text]:
    """A line for each declaration, and one that says why."""
    for finding in verification.findings:
        declaration = finding.declaration
        origin = ", ".join(filter(None, (declaration.relation, f"declared in {' and '.join(declaration.where)}")))
        yield Text.assemble(
            (finding.status, LOOKS[finding.status]),
            f"  {printable(declaration.text)} ({origin})\n    {printable(finding.reason, 600)}",
        )
