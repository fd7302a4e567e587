"""All that is known of one model as one HTML page that needs no network: what it is, its relatives, its tree, its origin."""

from __future__ import annotations

from typing import Any

from kinprint.fingerprints import Fingerprint
from kinprint.library.identify import Identification
from kinprint.library.trees.tree import Forest
from kinprint.reports.comparison_html import measured_with
from kinprint.reports.pages import page
from kinprint.reports.tree_html import grown

DECLARED = ("base_model", "license", "license_name")
"""What a card says, which no test looks at."""


def model_html(
    model: Fingerprint, identification: Identification, forest: Forest | None, *, when: str = "", saved: bool = False
) -> str:
    """The page.

    Args:
        model: the fingerprint.
        identification: its relatives in a library.
        forest: the tree of the nearest of them; None if there are none.
        when: date and time, as the page shall show it.
        saved: it shall be kept as a file, so no link of it leads to the server.
    """
    return page(
        "model_report.html",
        model=model,
        facts=facts(model),
        declared=[(name, str(model.provenance[name])) for name in DECLARED if model.provenance.get(name)],
        notes=_notes(model),
        identification=identification,
        place="" if saved else "/models",
        home="" if saved else "/",
        tree=grown(forest) if forest else None,
        provenance=[
            ("source", str(model.provenance.get("source") or "–")),
            ("revision", str(model.provenance.get("revision") or "–")),
            ("fingerprint (BLAKE3)", model.digest),
            ("weights (BLAKE3)", model.stated.content or "–"),
            ("bytes read", "all" if model.quick is None else f"{model.quick:.2%} (--quick)"),
            ("library", f"{identification.searched:,} models"),
            ("measured with", measured_with()),
            *([("made", when)] if when else []),
        ],
    )


def facts(model: Fingerprint) -> list[tuple[str, Any]]:
    """Single numbers and words about a model, by name; whole lists are for programs."""
    shown = ((name, value) for name, value in model.facts.items() if name != "content" and isinstance(value, str | int | float))
    family = {"family": model.stated.family_name}
    named = ((name, family.get(name, value)) for name, value in shown if value != "")
    return sorted((name, ("no", "yes")[value] if isinstance(value, bool) else value) for name, value in named)


def _notes(model: Fingerprint) -> list[str]:
    """What measuring it had to say, a few lines at most."""
    notes = model.provenance.get("notes")
    return [str(note) for note in notes[:20]] if isinstance(notes, list) else []
