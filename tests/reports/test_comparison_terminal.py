"""A comparison as terminal text."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from kinprint import compare
from kinprint.comparison.comparison import FABRICATION
from kinprint.reports import comparison_text
from kinprint.reports.comparison_html import comparison_html


@pytest.mark.parametrize("layers", [(1.0, math.nan, 9.0), (math.nan,) * 90, (math.inf, -math.inf, 3.0), ()])
def test_layers_that_were_not_compared_are_shown(models: Path, layers: tuple[float, ...]) -> None:
    """What a test says of each layer may be nothing: a test of deep models, or one that matches, compares some layers only."""
    found = compare(models / "base", models / "finetune")
    evidence = tuple(replace(item, layers=layers) for item in found.evidence)
    console = Console(width=120)
    with console.capture() as captured:
        console.print(comparison_text(replace(found, evidence=evidence)))
    assert "RELATED" in captured.get()
    assert ("·" in captured.get()) == any(map(math.isnan, layers))


@pytest.mark.parametrize("suspect", ["finetune", "base", "twin"])
def test_what_could_be_made_up(models: Path, suspect: str) -> None:
    """Every report of related models says that a reference may be made from the suspect: in two lines of a terminal at most,
    in JSON, and on the page. No report of others does."""
    found = compare(models / "base", models / suspect)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(comparison_text(found))
    shown, page = captured.get(), comparison_html(found, command="")
    if suspect == "twin":
        assert found.to_json()["fabrication"] is None
        assert "Weights do not show distillation" in shown
        assert FABRICATION not in page
        assert "kinprint commit" not in shown
        return
    assert found.to_json()["fabrication"] == FABRICATION
    assert FABRICATION in page
    lines = shown.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(FABRICATION[:20]))
    assert " ".join(" ".join(lines[first : first + 2]).split()) == FABRICATION
