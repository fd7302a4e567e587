"""Facts that can be computed with: what strangers wrote is taken as far as it is what it should be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.fingerprints.facts import LARGEST, Facts

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = list(Facts.__dataclass_fields__)


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING))
def test_nothing_that_is_written_raises_or_leaves_its_bounds(facts: dict[str, Any]) -> None:
    """Whatever JSON a fingerprint's facts are, sizes are None or below LARGEST, and shapes are two or three such numbers."""
    stated = Facts.of(facts)
    assert stated.hidden_size is None or 0 <= stated.hidden_size < LARGEST
    assert stated.quick is None or 0 < stated.quick <= 1
    for layers in stated.shapes.values():
        assert all(shape is None or (2 <= len(shape) <= 3 and all(0 <= size < LARGEST for size in shape)) for shape in layers)
    for role, layer in (("q", 0), ("embedding", None)):
        size = stated.matrix(role, layer)
        assert size is None or min(size) > 0


@pytest.mark.parametrize("value", [True, 2.0, -1, LARGEST, "64", [64], None])
def test_a_size_that_is_none_counts_as_not_stated(value: object) -> None:
    """A truth value, a fraction, a negative or absurd number, a word: none of them is a size."""
    assert Facts.of({"hidden_size": value}).hidden_size is None


def test_what_is_stated_is_taken() -> None:
    """Facts as kinprint measures them come back as they are."""
    stated = Facts.of(
        {"hidden_size": 64, "vocab_size": 512, "shapes": {"q": [[1, 64, 32], None]}, "dtypes": {"q": "bfloat16", "k": "int8"}}
    )
    assert stated.matrix("q", 0) == (64, 32)
    assert stated.matrix("q", 1) is None
    assert stated.matrix("q", 7) is None
    assert stated.matrix("embedding", None) == (512, 64)
    assert stated.dtypes == {"q": "bfloat16"}
