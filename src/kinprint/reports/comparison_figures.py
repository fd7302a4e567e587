"""Small pictures as SVG text: curves over layers, bars, heat maps, a map of layers.

Drawn here, without scripts: a report must show the same on paper, in the preview of a mail and in ten years. Colours are those
of the page (classes, see templates/style.css), so they follow its light or dark scheme. Every mark tells its value to a pointer
that rests on it. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BELOW = 420.0, 190.0, 46.0, 10.0, 12.0, 34.0
MOST_CELLS = 48
"""Rows of a heat map, and columns; of more layers every second, third, ... is shown."""


@dataclass(frozen=True)
class Curve:
    """A curve over depth.

    Attributes:
        name: in the legend.
        values: one a layer; NaN leaves a gap.
        look: class of the line ("reference", "suspect", ...).
    """

    name: str
    values: Sequence[float]
    look: str


def curves(label: str, shown: Sequence[Curve]) -> Markup:
    """Curves over relative depth, on one scale."""
    known = [value for curve in shown for value in curve.values if math.isfinite(value)]
    low, high = _range(known)
    body = _grid(low, high, "depth: first layer to last")
    for curve in shown:
        last = max(len(curve.values) - 1, 1)
        points = [
            (LEFT + _inner() * index / last, _up(value, low, high), index, value)
            for index, value in enumerate(curve.values)
            if math.isfinite(value)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
        body.append(f'<polyline class="curve {curve.look}" points="{path}"/>')
        body += [
            f'<circle class="dot {curve.look}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{escape(curve.name)}, layer {index}: '
            f"{value:.4g}</title></circle>"
            for x, y, index, value in points
        ]
    return _svg(label, body, WIDTH, HEIGHT)


def bars(label: str, values: Sequence[float], below: str, mark: float | None = None) -> Markup:
    """A bar for each value, from zero; a dashed line at `mark`."""
    known = [value for value in values if math.isfinite(value)]
    low, high = _range([0.0, *known, *([] if mark is None else [mark])])
    body = _grid(low, high, below)
    step = _inner() / max(len(values), 1)
    zero = _up(0.0, low, high)
    for index, value in enumerate(values):
        if math.isfinite(value):
            y = _up(value, low, high)
            body.append(
                f'<rect class="bar" x="{LEFT + step * index + step * 0.1:.1f}" y="{min(y, zero):.1f}" width="{step * 0.8:.1f}" '
                f'height="{max(abs(zero - y), 0.6):.1f}"><title>layer {index}: {value:.3g}</title></rect>'
            )
    if mark is not None:
        y = _up(mark, low, high)
        body.append(f'<line class="mark" x1="{LEFT:.0f}" x2="{WIDTH - RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    return _svg(label, body, WIDTH, HEIGHT)


def heat(label: str, values: Sequence[Sequence[float]], down: str, across: str) -> Markup:
    """Numbers from -1 to 1 as squares: one colour for positive, one for negative, as strong as they are large."""
    rows, columns = len(values), len(values[0]) if len(values) else 0
    row_step, column_step = (max(-(-count // MOST_CELLS), 1) for count in (rows, columns))
    chosen = [(i, j) for i in range(0, rows, row_step) for j in range(0, columns, column_step)]
    side = 200.0
    cell = side / max(-(-rows // row_step), -(-columns // column_step), 1)
    left, top = 30.0, 8.0
    names = escape(down), escape(across)
    body = []
    for i, j in chosen:
        value = values[i][j]
        if not math.isfinite(value):
            continue
        look = "plus" if value >= 0 else "minus"
        x, y = left + cell * (j // column_step), top + cell * (i // row_step)
        body.append(
            f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{cell + 0.2:.1f}" height="{cell + 0.2:.1f}" '
            f'fill-opacity="{min(abs(value), 1):.2f}"><title>{names[0]} layer {i}, {names[1]} layer {j}: '
            f"{value:.3f}</title></rect>"
        )
    body.append(_text(left + side / 2, top + side + 16, f"layer of {across}", "middle"))
    middle = top + side / 2
    turned = f'text-anchor="middle" transform="rotate(-90 14 {middle:.0f})"'
    body.append(f'<text x="14" y="{middle:.0f}" {turned}>layer of {names[0]}</text>')
    return _svg(label, body, left + side + 8, top + side + 24)


def layer_map(label: str, found: Sequence[int], layers: int) -> Markup:
    """Which layer of the reference (above) each layer of the suspect (below) came from."""
    reference, suspect = max(layers, max(found) + 1), len(found)
    step = (2 * WIDTH - 20) / max(reference, suspect)
    body = []
    for index, source in enumerate(found):
        x, y = 10 + step * (source + 0.5), 10 + step * (index + 0.5)
        body.append(
            f'<line class="link" x1="{x:.1f}" y1="24" x2="{y:.1f}" y2="86"><title>suspect layer {index} comes from reference '
            f"layer {source}</title></line>"
        )
    for count, height, look in ((reference, 24.0, "reference"), (suspect, 86.0, "suspect")):
        for index in range(count):
            body.append(f'<circle class="dot {look}" cx="{10 + step * (index + 0.5):.1f}" cy="{height:.0f}" r="3"/>')
    body += [_text(10, 13, "layers of the reference", "start"), _text(10, 104, "layers of the suspect", "start")]
    return _svg(label, body, 2 * WIDTH, 110)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _inner() -> float:
    return WIDTH - LEFT - RIGHT


def _up(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BELOW) * (high - value) / (high - low)


def _grid(low: float, high: float, below: str) -> list[str]:
    body = []
    for share in (0.0, 0.5, 1.0):
        value = low + (high - low) * share
        y = _up(value, low, high)
        body.append(f'<line class="grid" x1="{LEFT:.0f}" x2="{WIDTH - RIGHT:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(_text(LEFT - 5, y + 4, f"{value:.3g}", "end"))
    body.append(_text(LEFT + _inner() / 2, HEIGHT - 6, below, "middle"))
    return body


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(label: str, body: Sequence[str], width: float, height: float) -> Markup:
    head = f'<svg class="figure" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
    return Markup("\n".join([head, *body, "</svg>"]))  # every text above is escaped
