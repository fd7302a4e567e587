"""A difference as terminal text: the reading first, then a line for each role."""

from __future__ import annotations

import math

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.difference import Changes
from kinprint.errors import printable
from kinprint.reports import difference_words as words

BARS = "·▁▂▃▄▅▆▇█"
MOST_BARS = 12
"""Letters of a role's layers; of more layers each letter is the largest of some."""


def difference_text(changes: Changes) -> RenderableType:
    """The whole report, at most 80 columns. Everything that comes from the models is shown as plain text, without markup."""
    title = f"{printable(changes.reference)} and {printable(changes.suspect)}"
    head = Group(Text(changes.reading.word.upper(), style="bold"), Text(printable(changes.reading.words, 1000)))
    pieces: list[RenderableType] = [Panel(head, title=Text(title), box=box.ROUNDED, padding=(0, 1), width=80)]
    if changes.tensors:
        pieces.append(_table(changes))
    pieces += [Text(printable(line, 500)) for line in words.left_out(changes)]
    pieces.append(Text(words.accuracy(changes), style="dim"))
    return Group(*pieces)


def _table(changes: Changes) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("role", overflow="fold")
    for column in ("entries\nchanged", "change\n/ norm", "rank"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("like", no_wrap=True)
    table.add_column("by layer", no_wrap=True)
    for role in words.roles(changes):
        look = "dim" if role.kind == "unchanged" else ""
        bars = _bars(list(role.layers.values()))
        cells = (words.percent(role.share), words.number(role.relative), role.rank, role.kind, bars)
        table.add_row(Text(printable(role.name, 24)), *map(Text, cells), style=look)
    return table


def _bars(values: list[float]) -> str:
    """Changes against norms as a row of bars: a dot for none, an eighth for 0.001 and less, full at 1."""
    step = max(-(-len(values) // MOST_BARS), 1)
    return "".join(_bar(max(values[start : start + step])) for start in range(0, len(values), step))


def _bar(value: float) -> str:
    if value == 0:
        return BARS[0]
    return BARS[8] if not math.isfinite(value) else BARS[1 + min(max(round(7 * (1 + math.log10(max(value, 1e-9)) / 3)), 0), 7)]
