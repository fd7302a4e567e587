"""Every pair of models as one HTML page that needs no network."""

from __future__ import annotations

from markupsafe import Markup

from kinprint.library.matrix import Matrix
from kinprint.reports.comparison_html import measured_with
from kinprint.reports.matrix_svg import MOST, matrix_svg
from kinprint.reports.pages import page


def matrix_html(matrix: Matrix, *, command: str, when: str = "", case: str = "", author: str = "") -> str:
    """The page.

    Args:
        matrix: what `matrix` found.
        command: what to type to find it again.
        when: date and time, as the page shall show it.
        case, author: what and who stand on top of the page, if anything.
    """
    origin = [("measured with", measured_with()), *([("made", when)] if when else [])]
    digests = list(zip(matrix.names, matrix.digests, strict=True))
    drawn = Markup(matrix_svg(matrix))
    provenance = [*origin, *digests]
    return page(
        "matrix.html", matrix=matrix, drawn=drawn, most=MOST, command=command, case=case, author=author, provenance=provenance
    )
