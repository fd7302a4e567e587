"""Results as notebooks show them, and as tables of pandas."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import kinprint
from kinprint import Fingerprint
from kinprint.errors import MissingExtraError
from kinprint.notebook import MOST, Shown

MODELS = Path(__file__).parents[1] / "examples" / "models"
EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def shown() -> dict[str, Shown]:
    """A result of every kind."""
    base, finetune, twin = (kinprint.fingerprint(MODELS / name) for name in ("base", "finetune", "twin"))
    library = kinprint.Library.open("memory://notebook", create=True)
    library.add([base, twin])
    models = [base, finetune, twin]
    return {
        "comparison": kinprint.compare(base, finetune),
        "identification": kinprint.identify(finetune, library),
        "matrix": kinprint.matrix(models),
        "tree": kinprint.tree(models),
        "library": library,
        "gathering": kinprint.gather(base, [finetune, twin]),
    }


@pytest.mark.parametrize(
    ("kind", "said", "column", "first"),
    [
        ("comparison", "related: base and finetune", "method", "neurons"),
        ("identification", "1 relative: base", "name", "base"),
        ("matrix", "3 models, 3 pairs", "model", "base"),
        ("tree", "3 models, 1 family", "model", "base"),
        ("gathering", "single: base", "name", "finetune"),
        ("library", "Library memory://notebook", "name", "base"),
    ],
)
def test_every_result_is_a_card_and_a_table(shown: dict[str, Shown], kind: str, said: str, column: str, first: str) -> None:
    """The card says the result in words; the table has all rows, with numbers as numbers."""
    pandas = pytest.importorskip("pandas")
    card, frame = shown[kind]._repr_html_(), shown[kind].to_frame()
    assert said in card
    assert len(re.findall("<tr>", card)) == 1 + min(len(frame), MOST)
    assert frame[column][0] == first
    if "log10_p" in frame:
        assert pandas.api.types.is_numeric_dtype(frame["log10_p"])


@pytest.mark.parametrize("kind", ["comparison", "identification", "matrix", "tree", "library", "gathering"])
def test_every_result_is_drawn(shown: dict[str, Shown], kind: str) -> None:
    """A bar for each row that has a value, labelled; names are no formulas to matplotlib."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = shown[kind].plot(most=5)
    rows = [row for row in shown[kind].rows() if row[shown[kind].measure] is not None][:5]
    assert len(axes.patches) == len(rows) == len(axes.get_yticklabels())
    axes.figure.canvas.draw()


def test_names_are_no_formulas(shown: dict[str, Shown]) -> None:
    pytest.importorskip("matplotlib").use("agg")

    class Evil(Shown):
        def headline(self) -> str:
            return "$\\frac{$"

        def rows(self) -> list[dict[str, object]]:
            return [{"name": "$\\frac{$", "log10_p": -400.0}, {"name": "b", "log10_p": None}]

    Evil().plot().figure.canvas.draw()


def test_a_library_prints_and_iterates_sensibly(shown: dict[str, Shown]) -> None:
    library = shown["library"]
    assert repr(library) == "<Library 'memory://notebook', 2 models>"
    assert isinstance(library, kinprint.Library)
    assert sorted(model.name for model in library) == ["base", "twin"]


def test_what_strangers_say_is_text() -> None:
    """Markup in names stays text."""
    base = kinprint.fingerprint(MODELS / "base")
    evil = Fingerprint(EVIL, base.traits, base.facts, base.provenance)
    card = kinprint.compare(evil, MODELS / "twin")._repr_html_()
    assert "<img" not in card
    assert "&lt;img" in card


def test_without_pandas(shown: dict[str, Shown], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        shown["matrix"].to_frame()


def test_without_matplotlib(shown: dict[str, Shown], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="pip install matplotlib"):
        shown["matrix"].plot()
