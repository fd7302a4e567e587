"""Facts that hold for one of two models."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.comparison.context import context
from kinprint.comparison.one_sided import gain_spread, one_sided, tokens_within, zero_share
from kinprint.fingerprints import Fingerprint


def model(name: str, spread: float = 0.1, layers: int = 2, zeros: float = 0.0, tokens: range = range(100)) -> Fingerprint:
    """Gains 1 - spread and 1 + spread; a share of zeros; a vocabulary of which all hashes up to the 64th smallest are kept."""
    moments = np.zeros((layers, 6), np.float32)
    moments[:, 5] = zeros
    traits = {
        "gains.input": np.tile(np.array([1 - spread, 1 + spread], np.float32), (layers, 1)),
        "moments.q": moments,
        "tokenizer.sketch": np.array(sorted(tokens)[:64], np.uint64),
    }
    return Fingerprint(name, traits, {"tokens": len(tokens)})


def test_each_fact_names_the_model_that_has_it() -> None:
    first = model("a", spread=0.2, zeros=0.3)
    second = model("b", spread=0.1, zeros=0.0, tokens=range(150))
    expected = (
        "B is nearer the start by its norm gains (spread 0.1, not 0.2)",
        "A has more weights of exactly 0 (30.0%, not 0.0%)",
        "the tokens of A are among those of B",
    )
    assert one_sided(first, second, ("A", "B")) == expected
    assert one_sided(second, first, ("B", "A")) == expected


def test_layers_and_what_differs_between_them() -> None:
    """Gains of other layers have spread otherwise, so of two depths nothing is said of them."""
    first, second = model("a", spread=0.2, layers=4), model("b", spread=0.1, layers=3)
    assert one_sided(first, second, ("A", "B")) == ("B has fewer layers (3, not 4)",)


def test_nothing_is_said_of_equal_models_and_of_bare_ones() -> None:
    assert one_sided(model("a"), model("b"), ("A", "B")) == ()
    bare = Fingerprint("bare", {}, {})
    assert gain_spread(bare) is None
    assert zero_share(bare) is None
    assert one_sided(bare, model("b"), ("A", "B")) == ()


@pytest.mark.parametrize(("large", "within"), [(range(150), True), (range(1, 150), False), (range(0, 300, 2), False)])
def test_a_vocabulary_within_another(large: range, within: bool) -> None:
    """Of the larger vocabulary the sketch holds the smallest hashes; a token that is missing among them is seen."""
    assert tokens_within(model("small"), model("large", tokens=large)) is within
    assert not tokens_within(model("large", tokens=large), model("small"))


def test_context_holds_what_differs() -> None:
    first, second = model("a", spread=0.2), model("b", spread=0.1)
    said = context(first, second)
    assert said["gain_spread"] == {"reference": pytest.approx(0.2), "suspect": pytest.approx(0.1)}
    assert said["zeros"] == {}
