"""The pictures on the page of a comparison: curves over layers, bars, heat maps, a map of layers.

Colours are those of the page (classes, see templates/style.css), so they follow its light or dark scheme. Every mark tells its
value to a pointer that rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kinprint.reports import svg

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
        body.append(svg.polyline(((x, y) for x, y, _, _ in points), look=f"curve {curve.look}"))
        for x, y, index, value in points:
            hover = f"{curve.name}, layer {index}: {value:.4g}"
            body.append(svg.element("circle", look=f"dot {curve.look}", cx=x, cy=y, r=2.6, hover=hover))
    return svg.figure(label, body, WIDTH, HEIGHT)


def bars(label: str, values: Sequence[float], below: str, mark: float | None = None) -> Markup:
    """A bar for each value, from zero; a dashed line at `mark`."""
    known = [value for value in values if math.isfinite(value)]
    low, high = _range([0.0, *known, *([] if mark is None else [mark])])
    body = _grid(low, high, below)
    step = _inner() / max(len(values), 1)
    zero = _up(0.0, low, high)
    for index, value in enumerate(values):
        if math.isfinite(value):
            x, y = LEFT + step * index + step * 0.1, _up(value, low, high)
            hover = f"layer {index}: {value:.3g}"
            body.append(svg.rectangle(x, min(y, zero), step * 0.8, max(abs(zero - y), 0.6), look="bar", hover=hover))
    if mark is not None:
        body.append(_across("mark", _up(mark, low, high)))
    return svg.figure(label, body, WIDTH, HEIGHT)


@dataclass(frozen=True)
class Share:
    """A piece of a whole: its name, its size, its look (a class) and what a pointer that rests on it is told."""

    name: str
    size: float
    look: str
    hover: str


def composition(label: str, pieces: Sequence[Share]) -> Markup:
    """Pieces side by side, as wide as they are large; names above those that are wide enough, else in the order of the row."""
    total = sum(piece.size for piece in pieces)
    body, x, width, top, height = list[str](), 10.0, WIDTH * 2 - 20.0, 26.0, 34.0
    for piece in pieces:
        wide = width * (piece.size / total if total else 1 / len(pieces))
        share = f", {piece.size / total:.1%} of these parameters" if total else ""
        hover = f"{piece.name}: {piece.hover}{share}"
        body.append(svg.rectangle(x, top, wide, height, look=f"part {piece.look}", hover=hover))
        if wide > 7.0 * len(piece.name):
            body.append(svg.text(x + wide / 2, top - 8, piece.name, anchor="middle"))
        x += wide
    return svg.figure(label, body, WIDTH * 2, top + height + 8)


def heat(label: str, values: Sequence[Sequence[float]], down: str, across: str) -> Markup:
    """Numbers from -1 to 1 as squares: one colour for positive, one for negative, as strong as they are large."""
    rows, columns = len(values), len(values[0]) if len(values) else 0
    row_step, column_step = (max(-(-count // MOST_CELLS), 1) for count in (rows, columns))
    chosen = [(i, j) for i in range(0, rows, row_step) for j in range(0, columns, column_step)]
    side = 200.0
    cell = side / max(-(-rows // row_step), -(-columns // column_step), 1)
    left, top = 30.0, 8.0
    body = []
    for i, j in chosen:
        value = values[i][j]
        if not math.isfinite(value):
            continue
        x, y = left + cell * (j // column_step), top + cell * (i // row_step)
        look, strength = "plus" if value >= 0 else "minus", f"{min(abs(value), 1):.2f}"
        hover = f"{down} layer {i}, {across} layer {j}: {value:.3f}"
        body.append(svg.rectangle(x, y, cell + 0.2, cell + 0.2, look=look, fill_opacity=strength, hover=hover))
    body.append(svg.text(left + side / 2, top + side + 16, f"layer of {across}", anchor="middle"))
    body.append(svg.upright(14, round(top + side / 2), f"layer of {down}"))
    return svg.figure(label, body, left + side + 8, top + side + 24)


@dataclass(frozen=True)
class Source:
    """A layer of the suspect in a map of layers: the layers of the reference that it comes from, its look (a class), and what a
    pointer that rests on it is told."""

    layers: Sequence[int]
    look: str
    hover: str


def layer_map(label: str, sources: Sequence[Source], layers: int) -> Markup:
    """Which layers of the reference (above) each layer of the suspect (below) came from."""
    reference, suspect = max([layers, *(max(each.layers) + 1 for each in sources if each.layers)]), len(sources)
    step = (2 * WIDTH - 20) / max(reference, suspect)
    body = []
    for index, each in enumerate(sources):
        for source in each.layers:
            above, below = 10 + step * (source + 0.5), 10 + step * (index + 0.5)
            body.append(svg.element("line", look=f"link {each.look}", x1=above, y1=24, x2=below, y2=86, hover=each.hover))
    for index in range(reference):
        body.append(svg.element("circle", look="dot reference", cx=10 + step * (index + 0.5), cy=24, r=3))
    for index, each in enumerate(sources):
        x, size = 10 + step * (index + 0.5), 4.5 if each.look in ("average", "identity", "new") else 3.0
        body.append(svg.element("circle", look=f"dot suspect {each.look}", cx=x, cy=86, r=size, hover=each.hover))
    body.append(svg.text(10.0, 13.0, "layers of the reference", anchor="start"))
    body.append(svg.text(10.0, 104.0, "layers of the suspect", anchor="start"))
    return svg.figure(label, body, 2 * WIDTH, 110)


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
        body.append(_across("grid", y))
        body.append(svg.text(LEFT - 5, y + 4, f"{value:.3g}", anchor="end"))
    body.append(svg.text(LEFT + _inner() / 2, HEIGHT - 6, below, anchor="middle"))
    return body


def _across(look: str, y: float) -> str:
    """A level line over the whole width."""
    return svg.element("line", look=look, x1=round(LEFT), x2=round(WIDTH - RIGHT), y1=y, y2=y)
