"""A comparison as terminal text: tests, what they say of parts and layers, and last the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

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
from kinprint.reports import looks
from kinprint.words import p_value

LOOKS = {"same": "dim", "different": "", "warning": "yellow"}
BARS = " ▁▂▃▄▅▆▇█"

MOST_BARS = 24
"""Bars of a row, where the terminal has 80 columns."""

MOST_LINES = 6
"""Lines about layers and experts that are shown where not everything is."""


def comparison_text(comparison: Comparison, *, everything: bool = False, scores: bool = False) -> RenderableType:
    """The report, the verdict last, where the eye rests. Everything that comes from the models is shown as plain text, without
    markup.

    Args:
        everything: say of each test what it compared, of those that do not apply why, and show scores and context too.
        scores: show the scores.
    """
    return Group(
        *_evidence(comparison, everything), *_beside(comparison, everything, scores), *_verdict(comparison, everything)
    )


def comparison_line(comparison: Comparison) -> str:
    """The verdict in one line: word, p-value, names."""
    about = f" ({comparison.about})" if comparison.about else ""
    p = "" if comparison.log10_p is None else f"  p {p_value(comparison.log10_p)}"
    return f"{comparison.verdict}{p}  {_names(comparison)}{about}"


def _names(comparison: Comparison) -> str:
    return f"{printable(comparison.reference.name)} and {printable(comparison.suspect.name)}"


def _verdict(comparison: Comparison, everything: bool) -> Iterator[RenderableType]:
    """What to do next, and the verdict."""
    if comparison.fabrication:
        yield Text(comparison.fabrication)
    if comparison.verdict == "no-evidence":
        yield Text(words.NO_DISTILLATION)
    if not everything:
        yield Text("More: -v (what each test compared, context), --scores, --html FILE", "dim")
    title = _names(comparison) + (f": {comparison.about}" if comparison.about else "")
    verdict = Text(comparison.verdict.upper(), style=looks.VERDICTS[comparison.verdict])
    head = Group(verdict, Text(printable(comparison.sentence(), 1000)))
    yield Panel(head, title=Text(title), box=box.ROUNDED, padding=(0, 1))


def _evidence(comparison: Comparison, everything: bool) -> Iterator[RenderableType]:
    """The tests, and the parts, layers and experts that they speak of."""
    everything = everything or comparison.verdict == "untestable"  # what is to be said are the reasons
    all_tests = {"": comparison.tests, **{what: each.tests for what, each in comparison.components.items()}}
    for what, tests in all_tests.items():
        shown = tests if everything else [item for item in tests if item.applies]
        if shown and (everything or not what):
            yield _tests(shown, f"Tests of the {what} (these decide too)" if what else "Tests (these decide)", everything)
        if not everything and not what and (line := words.inapplicable(tests)):
            yield Text(line, style="dim")
    if comparison.parts:
        yield _parts(comparison.parts, everything)
    lines = words.layers(comparison.layers, comparison.reference.layers or 0) if comparison.layers else []
    if not lines and comparison.layer_map is not None and comparison.layer_map != tuple(range(len(comparison.layer_map))):
        lines.append("Layers of the reference, by suspect layer: " + " ".join(map(str, comparison.layer_map)))
    lines += words.experts(comparison.experts)
    yield from map(Text, lines if everything or len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "  ... (-v: all)"])
    disguise = next((item.disguise for item in comparison.tests if item.disguise), ())
    if disguise and comparison.verdict == "related":
        yield Text("Disguise: " + ", ".join(disguise))


def _beside(comparison: Comparison, everything: bool, scores: bool) -> Iterator[RenderableType]:
    """Scores and context, which decide nothing."""
    if everything or scores:
        yield _scores(words.scores(comparison), everything)
        yield Text(words.REACHED, style="dim")
        if unmeasured := words.unmeasured(comparison.scores):
            yield Text(unmeasured, style="dim")
    facts = words.context(comparison.context)
    if everything:
        yield _context(facts)
        return
    for fact in facts:
        if fact.look == "warning":
            said = f"{fact.name}: {fact.reference or '–'} of the reference, {fact.suspect or '–'} of the suspect"
            yield Text(said, LOOKS[fact.look])


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


def _parts(parts: Iterable[SharedPart], everything: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="By part", title_justify="left", title_style="bold")
    table.add_column("part", no_wrap=True)
    table.add_column("what is known")
    table.add_column("p", justify="right", no_wrap=True)
    if everything:
        table.add_column("by", overflow="fold")
    for item in parts:
        row = words.part(item)
        by = [row["tests"]] if everything else []
        table.add_row(row["part"], row["state"], row["p"], *by, style="dim" if item.state == "no-evidence" else "")
    return table


def _tests(tests: Iterable[Evidence], title: str, everything: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    table.add_column("test", no_wrap=True)
    table.add_column("z", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("made by", no_wrap=True)
    table.add_column("by layer", no_wrap=True)
    if everything:
        table.add_column("what was compared", overflow="fold")
    for item in tests:
        row = words.test(item, "")
        look = "" if item.decides else "dim"
        bars = _bars(item.layers or ()) if item.applies else ""
        note = [Text(row["note"], style=look)] if everything else []
        table.add_row(row["method"], row["z"], row["p"], row["made"], bars, *note, style=look)
    return table


def _scores(rows: Iterable[Mapping[str, str]], everything: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title="Scores (these describe, and never decide)", title_justify="left", title_style="bold dim"
    )
    table.add_column("score", no_wrap=True)
    for column in ("strangers,\nmedian", "this\npair", "a copy", "reached by"):
        table.add_column(column, justify="right")
    if everything:
        table.add_column("parts", overflow="fold")
        table.add_column("caveat", overflow="fold")
    for row in rows:
        cells = [row[name] for name in ("method", "strangers", "value", "copy", "reached")]
        table.add_row(*cells, *((Text(row["parts"]), Text(row["note"])) if everything else ()), style="dim")
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
    """z by layer as a row of bars, full at 10; MOST_BARS layers at most. A layer that was not compared is a dot."""
    step = max(-(-len(layers) // MOST_BARS), 1)
    return "".join("·" if math.isnan(z) else BARS[int(min(max(z * 0.8, 0), 8))] for z in list(layers)[::step])
