"""Evidence comes back from its text the same to the last bit, and text that is no evidence is refused."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinprint import compare
from kinprint.comparison.evidence_text import FIELDS, read, write
from kinprint.methods import Evidence
from kinprint.statistics.label_checks import LabelCheck

numbers = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308, 0.1])
texts = st.text(max_size=5)


def bits(value: Any) -> Any:
    """A value in which floats are their bits, NaN one of them, so that equal means equal to the last bit."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return (value.order, bits(value.log10_p)) if isinstance(value, LabelCheck) else value


def all_bits(item: Evidence) -> dict[str, Any]:
    return {field.name: bits(getattr(item, field.name)) for field in fields(Evidence)}


evidence = st.builds(
    Evidence,
    method=texts,
    kind=st.sampled_from(["test", "score"]),
    statistic=st.none() | numbers,
    log10_p=st.none() | numbers,
    bound=st.booleans(),
    layer_map=st.none() | st.lists(st.integers(0, 99), max_size=3).map(tuple),
    layers=st.none() | st.lists(numbers, max_size=3).map(tuple),
    parts=st.dictionaries(texts, numbers, max_size=3),
    resolution=st.none() | numbers,
    disguise=st.lists(texts, max_size=2).map(tuple),
    forgeable=st.booleans(),
    labels=st.dictionaries(
        texts, st.lists(st.builds(LabelCheck, texts, st.none() | numbers), max_size=2).map(tuple), max_size=2
    ),
    set_aside=texts,
    note=texts,
    across=st.none() | st.lists(st.lists(numbers, max_size=2).map(tuple), max_size=2).map(tuple),
)


@settings(deadline=None)
@given(st.lists(evidence, max_size=3))
def test_it_comes_back_bit_for_bit(items: list[Evidence]) -> None:
    assert [all_bits(item) for item in read(write(items))] == [all_bits(item) for item in items]


def test_every_field_is_written_but_what_a_comparison_adds() -> None:
    """A field that evidence gains later must be written too: this fails until it is."""
    assert {field.name for field in fields(Evidence)} == FIELDS.keys() | {"detectable", "false_accusations"}


def test_what_methods_say_of_real_models(models: Path) -> None:
    """Every method's evidence on the shipped models, whatever numpy types it holds."""
    said = compare(models / "base", models / "finetune").evidence
    back = read(write(said))
    assert len(back) > 10
    for item, again in zip(said, back, strict=True):
        assert json.dumps(again.to_json()) == json.dumps({
            key: None if key == "detectable" else value
            for key, value in item.to_json().items()
            if key not in ("false_accusation_rate", "unrelated_pairs")
        })  # fmt: skip


def test_numpy_numbers_become_pythons() -> None:
    value = np.float32(0.1)
    (back,) = read(write([Evidence(method="m", kind="test", statistic=value, layers=(np.float64(0.2),), bound=np.bool_(True))]))  # type: ignore[arg-type]
    assert (back.statistic, back.layers, back.bound) == (float(value), (0.2,), True)
    assert type(back.statistic) is float


GOOD = json.loads(write([Evidence(method="m", kind="test", statistic=1.0, parts={"a": 1.0})]))[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 100_000,
        "[1]",
        "[{}]",
        json.dumps([GOOD | {"statistic": "1"}]),
        json.dumps([GOOD | {"statistic": True}]),
        json.dumps([GOOD | {"bound": 1}]),
        json.dumps([GOOD | {"kind": "oracle"}]),
        json.dumps([GOOD | {"kind": []}]),
        json.dumps([GOOD | {"layer_map": [0.5]}]),
        json.dumps([GOOD | {"layers": 3}]),
        json.dumps([GOOD | {"parts": [1]}]),
        json.dumps([GOOD | {"labels": {"reference": [["sorted"]]}}]),
        json.dumps([GOOD | {"more": 1}]),
        json.dumps([{key: value for key, value in GOOD.items() if key != "note"}]),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)
