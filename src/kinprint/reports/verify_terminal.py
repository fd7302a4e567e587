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
from kinprint.words import p_value

COLOURS = {
    "confirmed": "bold green",
    "contradicted": "bold red",
    "undeclared-relative": "bold red",
    "not-testable": "bold yellow",
    "not-found": "bold yellow",
    "nothing-declared": "bold",
    "unreadable": "bold yellow",
}
SAYS = {
    "confirmed": "Every base that it declares shares weights with it. Which was first is not tested.",
    "contradicted": "It does not share weights with a base that it declares, as far as the tests see.",
    "undeclared-relative": "It shares weights with a model, and neither declares the other. Which was first is not tested.",
    "not-testable": "Not every declaration could be tested.",
    "nothing-declared": "It declares no base.",
}


def verification_text(found: Verification) -> RenderableType:
    """The conclusion, then every declaration with its reason, then undeclared relatives."""
    conclusion = Text(found.conclusion.upper(), style=COLOURS[found.conclusion])
    head = Group(conclusion, Text(SAYS[found.conclusion]))
    pieces: list[RenderableType] = [Panel(head, title=Text(printable(found.model)), box=box.ROUNDED, padding=(0, 1))]
    pieces.extend(_declarations(found))
    for relative in found.relatives:
        where = f" ({printable(relative.source)})" if relative.source and relative.source != relative.name else ""
        how = "the same weights" if relative.identical else f"p {p_value(relative.log10_p)}"
        pieces.append(Text(f"Undeclared relative: {printable(relative.name)}{where}, {how}"))
    if found.searched:
        pieces.append(Text(f"Looked for undeclared relatives among {found.searched:,} models.", style="dim"))
    pieces.extend(Text(f"Note: {printable(note)}", style="yellow") for note in found.notes)
    return Group(*pieces)


def verifications_text(
    found: Sequence[Verification], unreadable: dict[str, str], circles: Iterable[Sequence[str]]
) -> RenderableType:
    """One row a model, then what stands behind every row that is not well, then circles."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("model", "conclusion", "declared bases"):
        table.add_column(column, overflow="fold")
    for one in found:
        bases = ", ".join(finding.declaration.said for finding in one.findings) or "–"
        table.add_row(Text(printable(one.model)), Text(one.conclusion, style=COLOURS[one.conclusion]), Text(printable(bases)))
    for model in unreadable:
        table.add_row(Text(printable(model)), Text("unreadable", style=COLOURS["unreadable"]), Text("–"))
    pieces: list[RenderableType] = [table]
    pieces.extend(verification_text(one) for one in found if one.conclusion not in ("confirmed", "nothing-declared"))
    pieces.extend(Text(f"{printable(model)}: {printable(reason)}", style="yellow") for model, reason in unreadable.items())
    pieces.extend(
        Text(f"Made from each other, as they say: {printable(', '.join(circle))}. One of them cannot be.", style="yellow")
        for circle in circles
    )
    return Group(*pieces)


def _declarations(found: Verification) -> Iterator[Text]:
    """A line for each declaration, and one that says why."""
    for finding in found.findings:
        one = finding.declaration
        said = ", ".join(filter(None, (one.relation, f"declared in {' and '.join(one.where)}")))
        yield Text.assemble(
            (finding.status, COLOURS[finding.status]), f"  {printable(one.said)} ({said})\n    {printable(finding.reason, 600)}"
        )
