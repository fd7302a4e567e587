"""A comparison as terminal text."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from kinprint import compare
from kinprint.reports import comparison_text


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
