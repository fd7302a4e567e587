"""Every pair of models as terminal text: a square of signs, then the related pairs."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from kinprint.library.matrix import Matrix
from kinprint.words import p_value

WIDEST = 30
"""Models of which a square is shown."""

LISTED = 40
"""Related pairs that are listed."""

SIGNS = {"identical": "=", "related": "R", "no-evidence": "·", "untestable": "?"}


def matrix_text(matrix: Matrix) -> RenderableType:
    """The whole report, the sentence last. Names were made harmless when they were given."""
    pieces: list[RenderableType] = []
    if len(matrix.names) <= WIDEST:
        pieces += [_square(matrix), Text("= identical, R related, · no evidence, ? no test applies", style="dim")]
    else:
        pieces.append(Text(f"A square is shown of up to {WIDEST} models: --html, --svg or --csv show all.", style="dim"))
    kin = matrix.kin
    for cell in kin[:LISTED]:
        p = "the same weights" if cell.log10_p is None else f"p {p_value(cell.log10_p)}"
        pieces.append(Text(f"{matrix.names[cell.a]} and {matrix.names[cell.b]}: {cell.verdict}, {p}"))
    if len(kin) > LISTED:
        pieces.append(Text(f"and {len(kin) - LISTED} more: --json, --csv", style="dim"))
    return Group(*pieces, Text(matrix.sentence(), style="bold"))


def _square(matrix: Matrix) -> Text:
    verdicts = {pair: SIGNS[cell.verdict] for cell in matrix.cells for pair in ((cell.a, cell.b), (cell.b, cell.a))}
    width = max(len(str(len(matrix.names))), 2)
    head = " ".join(f"{number:>{width}}" for number in range(1, len(matrix.names) + 1))
    lines = [" " * (width + 1) + head]
    for number, row in enumerate(matrix.order, 1):
        signs = " ".join(f"{verdicts.get((row, column), ' '):>{width}}" for column in matrix.order)
        lines.append(f"{number:>{width}} {signs}  {matrix.names[row]}")
    return Text("\n".join(lines))
