"""An audit as one HTML page that needs no network: every finding, every checkpoint by its digests."""

from __future__ import annotations

from collections.abc import Sequence

from kinprint.auditing.findings import ABOUT, CANNOT_SHOW, Audit
from kinprint.checkpoints.hashes import FileHash
from kinprint.reports.comparison_html import measured_with
from kinprint.reports.pages import page


def audit_html(
    audit: Audit, *, files: Sequence[Sequence[FileHash]], command: str, when: str = "", case: str = "", author: str = ""
) -> str:
    """The page.

    Args:
        audit: what was found.
        files: of every checkpoint with digests, in the order of the chain.
        command: what to type to find it again.
        when: date and time, as the page shall show it.
        case, author: what and who stand on top of the page, if anything.
    """
    questions = [(words, audit.state_of(about), audit.of(about)) for about, words in ABOUT.items() if audit.of(about)]
    return page(
        "audit.html",
        audit=audit,
        questions=questions,
        chain=list(zip(audit.stages, audit.digests, files, strict=True)),
        cannot_show=CANNOT_SHOW,
        command=command,
        case=case,
        author=author,
        provenance=[("measured with", measured_with()), *([("made", when)] if when else [])],
    )
