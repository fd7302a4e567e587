"""The pictures of a benchmark: ROC curves, p-values against the uniform distribution, what was found by kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from kinprint.benchmark import VERDICT, Summary
from kinprint.benchmark.measures import FEW
from kinprint.reports import svg
from kinprint.reports.benchmark_words import TRUTHS, percent, row_name
from kinprint.reports.svg import Point

PALETTE = ("#d1495b", "#2274a5", "#2a9d5c", "#e08e1b", "#7d5ba6", "#1ba6a6", "#a0662c", "#c25aa0", "#7a8b1f", "#6b7785")
LEFT, TOP, WIDTH, HEIGHT, RIGHT = 62.0, 44.0, 620.0, 330.0, 18.0
LEGEND_COLUMN, LEGEND_ROW = 155.0, 20.0

STYLE = "\n".join((
    "",
    svg.SHEET,
    ".small{font-size:11px} .grid{stroke:#8883;stroke-width:1} .axis{stroke:#888;stroke-width:1} "
    ".curve{fill:none;stroke-width:2}",
    ".verdict{stroke-width:3.5} .guess{stroke:#888;stroke-dasharray:2 4} .cell{stroke:#8884}",
    svg.DARK,
    "",
))  # fmt: skip


def roc_svg(summary: Summary) -> str:
    """ROC curves on undisguised pairs; the false-accusation axis is logarithmic, with a place of its own for zero."""
    unrelated = sum(not o.pair.disguised for o in summary.unrelated)
    floor = 0.5 / max(unrelated, 1)

    def across(share: float) -> float:
        return LEFT + WIDTH * (1 - math.log10(max(share, floor)) / math.log10(floor))

    ticks = [(LEFT, "0")] + [(across(10**-n), f"{100 * 10**-n:g} %") for n in range(6) if 10**-n > 2 * floor]
    body = _frame(ticks, "unrelated pairs accused (logarithmic)", "related pairs found")
    names = []
    for index, column in enumerate(summary.columns):
        curve = summary.roc(column.name)
        if not curve or curve[-1] == (curve[-1][0], 0.0):  # it never applied to a related pair
            continue
        look = _look(index, column.kind == "score")
        steps: list[Point] = []
        for x, y in curve:
            if steps:
                steps.append((across(x), steps[-1][1]))
            steps.append((across(x), _up(y)))
        body.append(_line(steps, look, "curve verdict" if column.name == VERDICT else "curve"))
        names.append((column.name, look))
    return _sheet("Found against accused, undisguised pairs", body, names, "upper left is best; dashed: scores")


def calibration_svg(summary: Summary) -> str:
    """Share of unrelated pairs with a p-value up to x: on the diagonal if the p-values hold, below it if conservative."""
    body = _frame([(LEFT + WIDTH * n / 4, f"{n / 4:g}") for n in range(5)], "p-value", "share of unrelated pairs up to it")
    body.append(_line([(LEFT, _up(0)), (LEFT + WIDTH, _up(1))], "", "guess"))
    names = []
    for index, column in enumerate(summary.columns):
        calibration = next((row for row in summary.calibrations if row.method == column.name), None)
        if calibration is None or len(calibration.shown) < FEW:
            continue
        p, look = calibration.shown, _look(index, False)
        steps: list[Point] = [(LEFT, _up(0))]
        for rank, value in enumerate(p, 1):
            steps += [(LEFT + WIDTH * value, steps[-1][1]), (LEFT + WIDTH * value, _up(rank / len(p)))]
        body.append(_line([*steps, (LEFT + WIDTH, _up(1))], look, "curve"))
        names.append((f"{column.name} ({len(p)})", look))
    return _sheet("p-values of unrelated pairs", body, names, "on the diagonal: they hold; above it: too small")


def values_svg(summary: Summary) -> str:
    """What each method says about related (above) and unrelated pairs (below), undisguised: do the two overlap?

    Scores stand on their own range; tests and verdict on -log10 p, drawn as its logarithm. At most 200 pairs a row.
    """
    label, line, width = 110.0, 58.0, 560.0
    body, y = [], TOP
    for column in summary.columns:
        related, unrelated = (
            sorted(v for o in outcomes if not o.pair.disguised and (v := o.value(column.name)) is not None)
            for outcomes in (summary.related, summary.unrelated)
        )
        finite = [v for v in (*related, *unrelated) if math.isfinite(v)]
        if not related or not unrelated or not finite:
            continue
        limit = -math.log10(summary.result.alpha) if column.kind == "test" else column.threshold
        marks = finite if limit is None else [*finite, limit]
        low, high = (0.0, max(marks)) if column.kind == "test" else (min(marks), max(marks))

        def across(value: float, low: float = low, high: float = high, test: bool = column.kind == "test") -> float:
            value, ends = min(value, high), (low, high)
            if test:
                value, ends = math.log1p(value), (math.log1p(low), math.log1p(high))
            return label + width * (value - ends[0]) / ((ends[1] - ends[0]) or 1)

        body.append(_text(12.0, y + 30, column.name, "" if column.kind == "test" else "small"))
        body.append(_line([(label, y + 26), (label + width, y + 26)], "", "axis"))
        for values, top, colour in ((related, y + 4, PALETTE[2]), (unrelated, y + 28, PALETTE[0])):
            step = max(1, -(-len(values) // 200))
            for value in [*values[::-1][::step]][::-1]:
                body.append(svg.rectangle(across(value) - 1, round(top), 2, 20, fill=colour, fill_opacity="0.35"))
        if limit is not None:
            body.append(_line([(across(limit), y), (across(limit), y + 52)], "stroke-dasharray:3 3", "axis"))
        ends = ("1", f"1e-{high:.0f}") if column.kind == "test" else (f"{low:.2f}", f"{high:.2f}")
        body.append(_text(label - 6, y + 30, ends[0], "small", "end"))
        body.append(_text(label + width + 6, y + 30, ends[1], "small"))
        y += line
    hint = "Green above: related. Red below: unrelated. Dashed: p = 1e-6, or the value a score's source called derivation."
    body.append(_text(12.0, y + 14, hint, "small"))
    return _svg("What the methods say about related and unrelated pairs", body, label + width + 70, y + 28)


def kinds_svg(summary: Summary) -> str:
    """A grid: kinds of pairs by methods, shaded by the share called related."""
    rows, names = summary.kinds, [column.name for column in summary.columns]
    label, cell, line = 270.0, 76.0, 24.0
    body, y = [], TOP + 30
    for index, name in enumerate(names):
        body.append(_text(label + cell * (index + 0.5), TOP + 14, name, "small", "middle"))
    truth = ""
    for row in rows:
        if row.truth != truth:
            truth = row.truth
            body.append(_text(12.0, y + 16, f"{TRUTHS[truth]}:", "small"))
            y += line
        body.append(_text(label - 8, y + 16, f"{svg.shortened(row_name(row), 34)} ({row.pairs})", "small", "end"))
        for index, count in enumerate(row.found.values()):
            x = label + cell * index
            share = 0.0 if count is None else count / row.pairs
            fill = PALETTE[2] if truth == "related" else PALETTE[0] if truth == "unrelated" else PALETTE[3]
            size, strength = (round(cell - 2), round(line - 2)), f"{0.75 * share:.2f}"
            body.append(svg.rectangle(round(x), round(y), *size, look="cell", rx=3, fill=fill, fill_opacity=strength))
            shown = "–" if count is None else percent((count, row.pairs))
            body.append(_text(x + cell / 2 - 1, y + 15, shown, "small", "middle"))
        y += line
    width = label + cell * len(names) + RIGHT
    hint = "Green: found. Red: accused. Verdict and tests at p ≤ 1e-6, scores above every unrelated pair."
    body.append(_text(12.0, y + 20, hint, "small"))
    return _svg("Pairs called related, by kind", body, width, y + 34)


def _look(index: int, dashed: bool) -> str:
    dash = ";stroke-dasharray:7 4" if dashed else ""
    return f"stroke:{PALETTE[index % len(PALETTE)]}{dash}"


def _up(share: float) -> float:
    return TOP + HEIGHT * (1 - share)


def _frame(ticks: Iterable[tuple[float, str]], below: str, beside: str) -> list[str]:
    body = []
    for x, text in ticks:
        body.append(_line([(x, TOP), (x, TOP + HEIGHT)], "", "grid"))
        body.append(_text(x, TOP + HEIGHT + 17, text, "small", "middle"))
    for n in range(5):
        body.append(_line([(LEFT, _up(n / 4)), (LEFT + WIDTH, _up(n / 4))], "", "grid"))
        body.append(_text(LEFT - 7, _up(n / 4) + 4, f"{25 * n} %", "small", "end"))
    body.append(_line([(LEFT, TOP), (LEFT, TOP + HEIGHT), (LEFT + WIDTH, TOP + HEIGHT)], "fill:none", "axis"))
    body.append(_text(LEFT + WIDTH / 2, TOP + HEIGHT + 36, below, "", "middle"))
    body.append(svg.upright(15, round(TOP + HEIGHT / 2), beside))
    return body


def _sheet(title: str, body: list[str], names: Sequence[tuple[str, str]], hint: str) -> str:
    """A plot with its legend below."""
    columns = int(WIDTH // LEGEND_COLUMN)
    start = TOP + HEIGHT + 58
    for index, (name, look) in enumerate(names):
        x, y = LEFT + LEGEND_COLUMN * (index % columns), start + LEGEND_ROW * (index // columns)
        body.append(_line([(x, y), (x + 26, y)], look, "curve verdict" if name == VERDICT else "curve"))
        body.append(_text(x + 32, y + 4, name, "small"))
    bottom = start + LEGEND_ROW * -(-len(names) // columns)
    body.append(_text(LEFT, bottom + 4, hint, "small"))
    return _svg(title, body, LEFT + WIDTH + RIGHT, bottom + 16)


def _svg(title: str, body: Sequence[str], width: float, height: float) -> str:
    return svg.picture(title, [_text(12.0, 24.0, title, "title"), *body], width, height, STYLE)


def _line(points: Iterable[Point], style: str, look: str) -> str:
    return svg.polyline(points, look=look, style=f"fill:none;{style}")


def _text(x: float, y: float, words: str, look: str, anchor: str = "start") -> str:
    return svg.text(x, y, words, look=look, anchor=anchor)
