"""A comparison as terminal text: the verdict first, then tests, then scores, visibly apart, then context."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.comparison import Comparison
from kinprint.comparison.parts import SharedPart
from kinprint.errors import printable
from kinprint.methods import Evidence, Method
from kinprint.reports import comparison_words as words

COLOURS = {"identical": "bold red", "related": "bold red", "no-evidence": "bold green", "untestable": "bold yellow"}
LOOKS = {"same": "dim", "different": "", "warning": "yellow"}
BARS = " ▁▂▃▄▅▆▇█"


def comparison_text(comparison: Comparison) -> RenderableType:
    """The whole report. Everything that comes from the models is shown as plain text, without markup."""
    title = f"{printable(comparison.reference.name)}  →  {printable(comparison.suspect.name)}"
    title += f": {comparison.about}" if comparison.about else ""
    verdict = Text(comparison.verdict.upper(), style=COLOURS[comparison.verdict])
    head = Group(verdict, Text(printable(comparison.sentence(), 1000)))
    pieces: list[RenderableType] = [Panel(head, title=Text(title), box=box.ROUNDED, padding=(0, 1))]
    if comparison.verdict == "no-evidence":
        pieces.append(Text(words.NO_DISTILLATION))
    if comparison.fabrication:
        pieces.append(Text(comparison.fabrication))
    if comparison.parts:
        pieces.append(_parts(comparison.parts))
    if comparison.tests:
        pieces.append(_tests(comparison.tests))
    pieces += [_tests(each.tests, f"Tests of the {what} (these decide too)") for what, each in comparison.components.items()]
    if comparison.layers:
        pieces += map(Text, words.layers(comparison.layers, comparison.reference.layers or 0))
    elif comparison.layer_map is not None and comparison.layer_map != tuple(range(len(comparison.layer_map))):
        pieces.append(Text("Layers of the reference, by suspect layer: " + " ".join(map(str, comparison.layer_map))))
    pieces += map(Text, words.experts(comparison.experts))
    disguise = next((item.disguise for item in comparison.tests if item.disguise), ())
    if disguise and comparison.verdict == "related":
        pieces.append(Text("Disguise: " + ", ".join(disguise)))
    if scores := [item for item in comparison.scores if not item.unmeasured]:
        pieces.append(_scores(scores))
    if unmeasured := words.unmeasured(comparison.scores):
        pieces.append(Text(unmeasured, style="dim"))
    pieces.append(_context(words.context(comparison.context)))
    return Group(*pieces)


def methods_text(methods: Sequence[Method]) -> RenderableType:
    """The list of methods: kind, what it compares, what it needs, null hypothesis or known failure, source."""
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, title="Tests decide, scores describe", title_justify="left")
    for column, ratio in (("method", 3), ("compares", 5), ("null hypothesis\nor known failure", 5), ("source", 4)):
        table.add_column(column, ratio=ratio, overflow="fold")
    for method in methods:
        traits = ", ".join(need if isinstance(need, str) else " or ".join(need[:2]) for need in method.needs)
        needs = "both checkpoints (--deep)" if method.deep else f"{traits}{' (--scores)' if method.needs_scores else ''}"
        table.add_row(
            Text.assemble((method.name, "bold"), f"\n{method.kind}{', deep' if method.deep else ''}"),
            Text(f"{method.summary}\nneeds {needs}"),
            Text(method.caveat),
            Text(method.source),
        )
    return table


def _parts(parts: Iterable[SharedPart]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="By part", title_justify="left", title_style="bold")
    table.add_column("part")
    table.add_column("what is known")
    table.add_column("p", justify="right")
    table.add_column("by", overflow="fold")
    for item in parts:
        row = words.part(item)
        table.add_row(row["part"], row["state"], row["p"], row["tests"], style="dim" if item.state == "no-evidence" else "")
    return table


def _tests(tests: Iterable[Evidence], title: str = "Tests (these decide)") -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    table.add_column("test")
    table.add_column("z", justify="right")
    table.add_column("p", justify="right")
    table.add_column("made by")
    table.add_column("by layer")
    table.add_column("what was compared", overflow="fold")
    for item in tests:
        row = words.test(item, "")
        look = "" if item.decides else "dim"
        bars = _bars(item.layers or ()) if item.applies else ""
        table.add_row(row["method"], row["z"], row["p"], row["made"], bars, Text(row["note"], style=look), style=look)
    return table


def _scores(scores: Iterable[Evidence]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Scores (these describe, and never decide)",
        title_justify="left",
        title_style="bold dim",
        caption="reached by: unrelated pairs of the benchmark, small models (docs/benchmark.md)",
        caption_justify="left",
    )
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("reached by", overflow="fold")
    table.add_column("parts", overflow="fold")
    table.add_column("caveat", overflow="fold")
    for item in scores:
        row = words.score(item)
        table.add_row(row["method"], row["value"], row["reached"], Text(row["parts"]), Text(row["note"]), style="dim")
    return table


def _context(facts: Iterable[words.Fact]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Context (facts, no evidence)", title_justify="left", title_style="bold dim")
    table.add_column("fact")
    table.add_column("reference", overflow="fold")
    table.add_column("suspect", overflow="fold")
    for fact in facts:
        table.add_row(fact.name, Text(fact.reference), Text(fact.suspect), style=LOOKS[fact.look])
    return table


def _bars(layers: Sequence[float]) -> str:
    """z by layer as a row of bars, full at 10; at most 40 layers shown. A layer that was not compared is a dot."""
    step = max(-(-len(layers) // 40), 1)
    return "".join("·" if math.isnan(z) else BARS[int(min(max(z * 0.8, 0), 8))] for z in list(layers)[::step])
