"""What methods say by layer is said of every layer of the suspect, in order: reports draw it so."""

from __future__ import annotations

import math
from pathlib import Path

from kinprint import compare, transforms
from kinprint.methods._by_layer import by_layer


def test_layers_that_are_not_compared_have_no_value() -> None:
    """Two of four layers compared: their values stand at their places."""
    values = by_layer({2: 5.0, 0: 1.0}, 4)
    assert values[0] == 1.0
    assert values[2] == 5.0
    assert math.isnan(values[1])
    assert math.isnan(values[3])


def test_every_method_speaks_of_every_layer(models: Path, tmp_path: Path) -> None:
    """A copy with repeated layers, of which tests of signs take each once: their z still stand at the layers they are of."""
    transforms.apply("upscale", models / "base", tmp_path / "deeper")
    comparison = compare(models / "base", tmp_path / "deeper", deep=True, scores=True)
    depth = comparison.suspect.layers
    assert depth != comparison.reference.layers
    told = {item.method: len(item.layers) for item in comparison.evidence if item.layers}
    assert len(told) > 5
    assert {method: count for method, count in told.items() if count != depth} == {}
    signs = next(item for item in comparison.tests if item.method == "matched-invariants")
    assert signs.layers is not None
    assert any(map(math.isnan, signs.layers))
