"""The relatives of a model in a library as one HTML page that needs no network."""

from __future__ import annotations

from kinprint.library.identify import Identification
from kinprint.reports.comparison_html import measured_with
from kinprint.reports.pages import page


def identification_html(
    identification: Identification, *, command: str, when: str = "", case: str = "", author: str = ""
) -> str:
    """The page.

    Args:
        identification: what `identify` found.
        command: what to type to find it again.
        when: date and time, as the page shall show it.
        case, author: what and who stand on top of the page, if anything.
    """
    rows = [
        ("suspect", str(identification.suspect.provenance.get("source") or "–")),
        ("fingerprint (BLAKE3)", identification.suspect.digest),
        ("library", f"{identification.library}, {identification.searched:,} models"),
        ("measured with", measured_with()),
        *([("made", when)] if when else []),
    ]
    return page(
        "identification.html",
        identification=identification,
        command=command,
        case=case,
        author=author,
        provenance=rows,
    )
