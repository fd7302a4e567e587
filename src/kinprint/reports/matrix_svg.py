"""Every pair of models as a square: filled where weights are shared, the models in the order of families."""

from __future__ import annotations

from kinprint.library.matrix import Cell, Matrix, darkness
from kinprint.reports import svg
from kinprint.words import p_value

SIDE, NAME, LETTERS = 16.0, 190.0, 26
MOST = 150
"""Models that are drawn; a picture of more shows nothing."""

STYLE = (
    f"{svg.SHEET} .cell{{fill:none;stroke:#c8ccd4}} .kin{{fill:#1f6497}} .untestable{{fill:#c9b37a}} .self{{fill:#8a919e}} "
    "text{font-size:11px} .family{fill:none;stroke:#1f6497;stroke-width:1.5} "
    f"{svg.DARK} @media (prefers-color-scheme:dark){{.cell{{stroke:#3a3f48}} .kin{{fill:#79b8e8}} .family{{stroke:#79b8e8}}}}"
)


def matrix_svg(matrix: Matrix) -> str:
    """The picture alone; of more than MOST models the largest families."""
    order = matrix.order[:MOST]
    place = {model: number for number, model in enumerate(order)}
    top = 36.0
    body = [svg.text(12, 22, matrix.sentence().split(". ")[0] + ".", look="title")]
    for model, at in place.items():
        y = top + SIDE * at
        body.append(svg.text(NAME - 6, y + SIDE * 0.75, svg.shortened(matrix.names[model], LETTERS), anchor="end"))
        body.append(svg.rectangle(NAME + SIDE * at, y, SIDE, SIDE, look="self", hover=matrix.names[model]))
    for cell in matrix.cells:
        if cell.a in place and cell.b in place:
            body += [_square(matrix, cell, *at, top) for at in ((place[cell.a], place[cell.b]), (place[cell.b], place[cell.a]))]
    first = 0
    for family in matrix.families:
        size = min(len(family), len(order) - first)
        if size > 1:
            body.append(svg.rectangle(NAME + SIDE * first, top + SIDE * first, SIDE * size, SIDE * size, look="family"))
        first += max(size, 0)
    side = SIDE * len(order)
    return svg.picture("Pairs of models", body, max(NAME + side + 12, 560.0), top + side + 12, STYLE)


def _square(matrix: Matrix, cell: Cell, row: int, column: int, top: float) -> str:
    hover = f"{matrix.names[cell.a]} and {matrix.names[cell.b]}: {cell.verdict}"
    hover += "" if cell.log10_p is None else f", p {p_value(cell.log10_p)}"
    look = {"no-evidence": "cell", "untestable": "untestable"}.get(cell.verdict, "kin")
    more = {"fill_opacity": f"{darkness(cell):.2f}"} if cell.related else {}
    return svg.rectangle(NAME + SIDE * column, top + SIDE * row, SIDE, SIDE, look=look, hover=hover, **more)
