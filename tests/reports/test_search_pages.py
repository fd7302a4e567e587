"""The pages of identifications and trees: complete, harmless, readable by everyone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from browser import browser

from kinprint import Fingerprint, fingerprint
from kinprint.library.identify import identify
from kinprint.library.matrix import matrix
from kinprint.library.store import Library
from kinprint.library.trees.tree import tree
from kinprint.reports.identification_html import identification_html
from kinprint.reports.matrix_html import matrix_html
from kinprint.reports.tree_html import tree_html

MODELS = Path(__file__).parents[2] / "examples" / "models"
EVIL = '<img src=x onerror="alert(1)"></svg><script>alert(2)</script>'


def renamed(model: Fingerprint, name: str) -> Fingerprint:
    return Fingerprint(name, model.traits, model.facts, {**model.provenance, "source": name})


@cache
def pages(*names: str) -> tuple[str, str, str]:
    """Of base, finetune and twin under other names: searched for base, joined to trees, every pair."""
    models = [renamed(fingerprint(MODELS / m), name) for m, name in zip(("base", "finetune", "twin"), names, strict=True)]
    library = Library.open(f"memory://pages{abs(hash(names))}", create=True)
    library.add(models)
    found, grown = identify(models[0], library, test_all=True), tree(models)
    return (
        identification_html(found, command="kinprint identify"),
        tree_html(grown, command="kinprint tree", when="today"),
        matrix_html(matrix(models), command="kinprint matrix"),
    )


def test_everything_is_there() -> None:
    """Verdicts, relatives, strangers, what could not be seen, the command to repeat."""
    identification, grown, _ = pages("base", "finetune", "twin")
    for text in ("1 relative: finetune", "finetune", "no-evidence", "What could not have been seen", "kinprint identify"):
        assert text in identification
    for text in ("Family 1: 2 models", "Related to none of the others", "twin", "kinprint tree", "today"):
        assert text in grown


@pytest.mark.parametrize("which", [0, 1, 2], ids=["identification", "tree", "matrix"])
@pytest.mark.parametrize("names", [("base", "finetune", "twin"), (EVIL, EVIL + "2", EVIL + "3")], ids=["plain", "hostile"])
def test_in_a_browser(which: int, names: tuple[str, ...], tmp_path: Path) -> None:
    """No error, no serious finding of axe-core, no markup of strangers, no network, nothing wider than a phone."""
    file = tmp_path / "report.html"
    file.write_text(pages(*names)[which], encoding="utf-8")
    with browser(offline=True, color_scheme="dark", viewport={"width": 390, "height": 800}) as watched:
        watched.page.on("dialog", lambda dialog: watched.complaints.append(dialog.message) or dialog.dismiss())
        watched.page.goto(file.as_uri())
        assert watched.page.locator("img").count() == 0
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert watched.violations() == []
        assert watched.complaints == []


def test_nothing_to_say() -> None:
    """An empty library, and models of which none is related, have pages too."""
    alone = [Fingerprint(name, {"gains.final": np.ones(64)}) for name in ("a", "b")]
    empty = identify(alone[0], Library.open("memory://empty", create=True))
    assert "the library is empty" in identification_html(empty, command="x")
    assert "Related to none of the others" in tree_html(tree(alone), command="x")
