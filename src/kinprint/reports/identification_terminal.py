"""The relatives of a model in a library, as terminal text: the answer first, then the candidates, then what was searched."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.errors import printable
from kinprint.library.identify import Identification, SearchFinding
from kinprint.reports import looks
from kinprint.reports.owners import several_owners
from kinprint.words import p_value

SHOWN = 5
"""Tested models without evidence that are listed."""


def identification_text(identification: Identification) -> RenderableType:
    """The whole report. Everything that comes from the models is shown as plain text, without markup."""
    head = Group(
        Text(printable(identification.headline()), style=looks.VERDICTS[identification.verdict]),
        Text(printable(identification.sentence(), 1000)),
    )
    title = f"{printable(identification.suspect.name)}  in  {printable(identification.library)}"
    pieces: list[RenderableType] = [Panel(head, title=Text(title), box=box.ROUNDED, padding=(0, 1))]
    if identification.fabrication:
        pieces.append(Text(identification.fabrication))
    if identification.findings:
        pieces.append(_table(identification))
    if several_owners(identification):
        pieces.append(_owners(identification))
    spaces = ", ".join(identification.spaces) or "no vector"
    pieces.append(Text(f"Searched: {identification.searched:,} models by {spaces}; tested: {identification.tested:,}."))
    if identification.tested:
        pieces.append(Text(f"Corrected: {identification.correction}."))
    pieces += [Text(f"Not seen: {printable(line, 1000)}.", style="dim") for line in identification.unseen()]
    pieces += [
        Text(f"Not readable: {digest[:12]}: {printable(why)}", style="yellow") for digest, why in identification.unreadable
    ]
    return Group(*pieces)


def _table(identification: Identification) -> Table:
    others = [finding for finding in identification.findings if not finding.is_relative]
    table = Table(box=box.SIMPLE_HEAD, title="Looked at", title_justify="left", title_style="bold")
    table.add_column("model", overflow="fold")
    table.add_column("verdict")
    table.add_column("p, corrected", justify="right")
    table.add_column("strongest test")
    table.add_column("nearest by", overflow="fold")
    for finding in (*identification.relatives, *others[:SHOWN]):
        table.add_row(*_row(finding), style=None if finding.is_relative else "dim")
    if len(others) > SHOWN:
        table.add_row(f"and {len(others) - SHOWN} more without evidence", "", "", "", "", style="dim")
    return table


def _owners(identification: Identification) -> Table:
    """Where each part comes from, if they come from several models."""
    table = Table(box=box.SIMPLE_HEAD, title="By part", title_justify="left", title_style="bold")
    for column in ("part", "shared most clearly with"):
        table.add_column(column, overflow="fold")
    for part, finding in identification.owners.items():
        table.add_row(part, printable(finding.name))
    return table


def _row(finding: SearchFinding) -> list[Text]:
    spaces = ", ".join(f"{space} {cosine:.2f}" for space, cosine in finding.cosines.items())
    test = finding.strongest.method if finding.strongest is not None else "–"
    test += f" of the {finding.of}" if finding.of else ""
    p = "1" if finding.log10_p == 0 else p_value(finding.log10_p)
    cells = (finding.name, finding.verdict, p, test, spaces)
    return [Text(printable(cell)) for cell in cells]
