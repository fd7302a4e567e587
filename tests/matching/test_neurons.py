"""The neurons of a model: those that are read later join those that are held."""

from __future__ import annotations

import numpy as np
import pytest
from methods.tiny_weights import model

from kinprint.matching import neurons as module
from kinprint.matching.heaviest import vectors
from kinprint.matching.neurons import neurons, whole


@pytest.mark.parametrize("experts", [None, 3])
def test_the_rest_of_a_layer_is_what_one_reading_would_give(experts: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DESCRIBED", 5)
    monkeypatch.setattr(module, "MOST", 12)
    found = neurons(model() if experts is None else model(experts=experts), (0, 1))
    for part, layer in zip(found.layers, whole(found, found.layers), strict=True):
        assert len(part.index) == (5 if experts is None else 12)
        assert sorted(layer.index) == sorted(layer.heaviest)
        assert len(layer.index) == 12
        expected = vectors(found.weights, layer.layer, layer.index).within(found.basis)
        for name, values in (("plain", expected.reads), ("ups", expected.ups), ("downs", expected.downs)):
            np.testing.assert_array_equal(getattr(layer, name), values)
        np.testing.assert_array_equal(layer.sizes, expected.sizes)
        np.testing.assert_array_equal(layer.products, expected.products)
