"""Whole traits from the rows of layers that are not all alike."""

from __future__ import annotations

import numpy as np

from kinprint.fingerprints.assembly import assemble, left_out


def test_layers_of_another_shape_are_named() -> None:
    """They are NaN in the trait, and a note says which; a layer without the trait is no matter for this note."""
    found = [
        (0, {"a": np.ones(3), "b": np.ones(2)}),
        (1, {"a": np.ones(3)}),
        (2, {"a": np.ones(5), "b": np.ones(2)}),
        (None, {"c": np.ones(9)}),
    ]
    traits = assemble(found, 3)
    assert traits["a"].shape == (3, 3)
    assert np.isnan(traits["a"][2]).all()
    assert left_out(found) == ["left out, for their shape is not that of most layers: a of layers 2"]
    assert left_out([(0, {"a": np.ones(3)}), (1, {"a": np.ones(3)})]) == []
