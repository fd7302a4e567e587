"""The picture of a difference: layers across, roles down, a square as strong as its weights changed."""

from __future__ import annotations

import math

from markupsafe import Markup

from kinprint.difference import Changes
from kinprint.reports import difference_words as words
from kinprint.reports import svg

LEFT, TOP, ROW, LETTER = 150.0, 8.0, 18.0, 6.4
WIDE, NARROW = 26.0, 5.0
"""Pixels of a layer: at most, at least."""

ACROSS = 620.0
WEAKEST = 1e-4
"""Change against norm that is drawn faintest; 1 is drawn strongest."""

STYLE = "\n".join((
    "",
    svg.SHEET + " text{font-size:11px} .plus{fill:#1f6497} .untouched{fill:none;stroke:#8886}",
    svg.DARK,
    "",
))  # fmt: skip


def layers_by_roles(changes: Changes) -> Markup:
    """The picture for a page."""
    body, width, height = _drawn(changes)
    return svg.figure(f"Change of {changes.suspect} from {changes.reference}, by layer and role", body, width, height)


def difference_svg(changes: Changes) -> str:
    """The picture alone."""
    body, width, height = _drawn(changes)
    return svg.picture(f"{changes.reference} to {changes.suspect}", body, width, height, STYLE)


def _drawn(changes: Changes) -> tuple[list[str], float, float]:
    """Elements, width and height."""
    layers = len(changes.layer_map)
    wide = min(max(ACROSS / max(layers + 2, 1), NARROW), WIDE)
    body: list[str] = []
    y = TOP
    for role in words.roles(changes):
        body.append(svg.text(LEFT - 8, y + 13, svg.shortened(role.name, 22), anchor="end"))
        cells = {layer: (value, f"layer {layer}, {role.name}") for layer, value in role.layers.items()}
        if not cells:
            cells = {layers + 1: (role.relative, role.name)}
        for at, (value, name) in cells.items():
            look, strength = _look(value)
            hover = f"{name}: change {words.number(value)} of the norm"
            x = LEFT + wide * at
            body.append(svg.rectangle(x + 0.5, y + 0.5, wide - 1, ROW - 1, look=look, fill_opacity=strength, hover=hover))
        y += ROW
    for layer in range(0, layers, max(-(-layers // 16), 1)):
        body.append(svg.text(LEFT + wide * (layer + 0.5), y + 13, str(layer), anchor="middle"))
    body.append(svg.text(LEFT + wide * layers / 2, y + 29, "layer", anchor="middle"))
    hint = "norm of the change / norm of the weights, its logarithm from 0.0001 to 1; hollow: no entry changed"
    body.append(svg.text(8.0, y + 47, hint))
    return body, max(LEFT + wide * (layers + 2) + 10, LETTER * len(hint)), y + 56


def _look(value: float) -> tuple[str, str]:
    if value == 0:
        return "untouched", "1"
    size = 1.0 if not math.isfinite(value) else math.log(max(value, WEAKEST) / WEAKEST) / -math.log(WEAKEST)
    return "plus", f"{min(0.12 + 0.88 * size, 1):.2f}"
