"""A difference as one HTML page that needs no network."""

from __future__ import annotations

from kinprint.difference import Changes
from kinprint.reports import difference_words as words
from kinprint.reports.comparison_html import measured_with
from kinprint.reports.difference_figures import layers_by_roles
from kinprint.reports.pages import page


def difference_html(changes: Changes, *, command: str, when: str = "", case: str = "", author: str = "") -> str:
    """The page.

    Args:
        changes: what `diff` found.
        command: what to type to find it again.
        when: date and time, as the page shall show it.
        case, author: what and who stand on top of the page, if anything.
    """
    origin = [("measured with", measured_with()), *([("made", when)] if when else [])]
    return page(
        "difference.html",
        changes=changes,
        accuracy=words.accuracy(changes),
        drawn=layers_by_roles(changes),
        roles=words.roles(changes),
        tensors=[_row(changes, index) for index in range(len(changes.tensors))],
        left_out=words.left_out(changes),
        number=words.number,
        percent=words.percent,
        command=command,
        case=case,
        author=author,
        provenance=[*origin, ("reference", changes.sources[0]), ("suspect", changes.sources[1])],
    )


def _row(changes: Changes, index: int) -> dict[str, str]:
    """One tensor, as the page shows it."""
    change = changes.tensors[index]
    told = change.directions
    layer, role, expert = change.place
    where = "" if layer is None else str(layer)
    return {
        "layer": where,
        "role": role if expert is None else f"{role}, expert {expert}",
        "shape": " × ".join(map(str, change.shape if change.shape[0] > 1 else change.shape[1:])),
        "share": words.percent(change.share),
        "relative": words.number(change.relative),
        "cosine": f"{change.cosine:.4f}",
        "rank": str(told.rank) if told and told.rank is not None and told.clear else "",
        "effective": f"{told.effective_rank:.1f}" if told else "",
    }
