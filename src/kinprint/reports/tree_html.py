"""Trees of models as one HTML page that needs no network."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from kinprint.library.trees.tree import Forest
from kinprint.reports.comparison_html import measured_with
from kinprint.reports.pages import page
from kinprint.reports.tree_svg import tree_svg
from kinprint.reports.tree_terminal import foot, merges, rows, start


def tree_html(forest: Forest, *, command: str, when: str = "", case: str = "", author: str = "") -> str:
    """The page.

    Args:
        forest: what `tree` found.
        command: what to type to find it again.
        when: date and time, as the page shall show it.
        case, author: what and who stand on top of the page, if anything.
    """
    origin = [("measured with", measured_with()), *([("made", when)] if when else [])]
    digests = [(label, digest) for label, digest in zip(forest.labels, forest.digests, strict=True)]
    return page(
        "tree.html",
        **grown(forest),
        foot=foot(forest),
        command=command,
        case=case,
        author=author,
        provenance=[*origin, *digests],
    )


def grown(forest: Forest) -> dict[str, Any]:
    """What the template `forest.html` shows: the picture, and each family in words."""
    families = [
        {
            "size": len(family.models),
            "start": start(forest, family),
            "merges": merges(forest, family),
            "neighbours": rows(forest, family),
        }
        for family in forest.families
    ]
    return {"forest": forest, "families": families, "drawn": Markup(tree_svg(forest))}
