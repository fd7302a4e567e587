"""The result of a black-box test as terminal text."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from kinprint.blackbox.result import BlackBoxResult
from kinprint.errors import printable
from kinprint.words import p_value

COLOURS = {"untestable": "bold yellow", "no-evidence": "bold"}
"""All others say something about the suspect."""


def black_box_text(result: BlackBoxResult) -> RenderableType:
    """The verdict in a box, then numbers, the null hypothesis, what was asked and what this cannot show."""
    p = "" if result.log10_p is None else f"  (p {p_value(result.log10_p, exact=True)})"
    head = Group(
        Text(result.verdict.upper() + p, style=COLOURS.get(result.verdict, "bold red")), Text(printable(result.sentence, 2000))
    )
    title = Text(printable(f"{result.test}: {result.reference}  →  {result.suspect}"))
    pieces: list[RenderableType] = [Panel(head, title=title, box=box.ROUNDED, padding=(0, 1))]
    if result.statistics:
        shown = ", ".join(f"{name} {_number(value)}" for name, value in result.statistics.items() if value is not None)
        pieces.append(Text(printable(shown, 2000)))
    pieces.append(Text(f"Null hypothesis: {printable(result.null, 2000)}", style="dim"))
    kept = f", {result.kept:,} answers from the file" if result.kept else ""
    where, counted = (f" at {result.where}", "requests") if result.where else (" here", "questions")
    pieces.append(Text(printable(f"Asked{where}: {result.requests:,} {counted}, {result.tokens:,} tokens{kept}"), style="dim"))
    pieces.extend(Text(f"Note: {printable(note, 2000)}", style="yellow") for note in result.notes)
    if result.cannot_show:
        pieces.append(Text("What this cannot show", style="bold"))
        pieces.extend(Text(f"  - {printable(each, 2000)}", style="dim") for each in result.cannot_show)
    return Group(*pieces)


def _number(value: float | int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value
