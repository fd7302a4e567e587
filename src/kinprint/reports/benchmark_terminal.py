"""A benchmark as terminal text: how the methods stand, by kind, calibration, and every failure by name."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kinprint.benchmark import Summary
from kinprint.benchmark.result import FINGERPRINTS, VERDICT
from kinprint.reports import benchmark_words as words

LISTED = 20
"""Failures listed by name; the Markdown, HTML and JSON reports have all."""

NARROW = (
    "method", "AUC", "found,\nnobody\naccused", "found,\np ≤ 1e-6", "accused,\np ≤ 1e-6", "accused,\nits source's\nthreshold",
    "a pair",
)  # fmt: skip


def benchmark_text(summary: Summary) -> RenderableType:
    """The whole report."""
    pieces: list[RenderableType] = [Text(words.about(summary.result), style="bold")]
    pieces += [Text(line, style="yellow") for line in words.warnings(summary)]
    pieces.append(_standings(summary))
    titles = {
        "related": "Related pairs found, by kind (tests at p ≤ 1e-6, scores with nobody accused)",
        "shared-initialisation": "Shared initialisation: called related, by kind",
        "unrelated": "Unrelated pairs called related, by kind",
    }
    for truth, title in titles.items():
        pieces += _kinds(summary, truth, title)
    if summary.calibrations:
        pieces.append(
            _table("p-values on unrelated pairs (uniform if they hold)", words.CALIBRATION, words.calibration_rows(summary))
        )
        pieces.append(Text(words.DEPENDENCE, style="dim"))
    for title, _, lines in words.failure_lists(summary):
        if lines:
            pieces.append(Text(f"\n{title}: {len(lines)}", style="bold"))
            pieces += [Text(f"  {line}") for line in lines[:LISTED]]
            if len(lines) > LISTED:
                pieces.append(Text(f"  ... and {len(lines) - LISTED} more in the reports", style="dim"))
    pieces.append(Text("\n" + words.cost(summary.result), style="dim"))
    return Group(*pieces)


def _standings(summary: Summary) -> Group:
    """The widest table in percents, so that it fits; the undisguised pairs in one of their own."""
    every, plain = [], []
    for row in summary.standings:
        accused = _percent(row.accused), _percent(row.accused_at_threshold), words.seconds(row.seconds)
        every.append([row.method, words.area(row.auc), _percent(row.clean), _percent(row.found), *accused])
        undisguised = _percent(row.clean_undisguised), _percent(row.found_undisguised)
        plain.append([row.method, words.area(row.auc_undisguised), *undisguised])
    tables = [_table("Methods, on all pairs", NARROW, every)]
    if any(outcome.pair.disguised for outcome in summary.result.compared):
        tables.append(_table("Methods, on undisguised pairs", NARROW[:4], plain))
    return Group(*tables)


def _percent(value: tuple[int, int] | None) -> str:
    return words.NONE if value is None or not value[1] else words.percent(value)


def _kinds(summary: Summary, truth: str, title: str) -> list[RenderableType]:
    """Counts by kind, of the verdict, and of what it were without the checkpoints; the reports have every method's."""
    kinds = [row for row in summary.kinds if row.truth == truth]
    if not kinds:
        return []
    names = [column.name for column in summary.columns if column.name in (VERDICT, FINGERPRINTS)]
    rows = [
        [
            words.row_name(row),
            str(row.pairs),
            *(words.NONE if row.found[name] is None else str(row.found[name]) for name in names),
        ]
        for row in kinds
    ]
    left = len(summary.columns) - len(names)
    note = [Text(f"and {left} more columns, one a method: --markdown, --html", style="dim")] if left > 0 else []
    return [_table(title, ("kind", "pairs", *names), rows), *note]


def _table(title: str, columns: Sequence[str], rows: words.Rows) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), title=Text(title), title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if index else "left", overflow="fold", ratio=None if index else 1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
