from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.checkpoints import json_text
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"a": 1,}',
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"\\uDFFF": 1}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes, strict: bool) -> None:
    with pytest.raises(CheckpointError, match="somewhere"):
        parse_object(data, "somewhere", strict=strict)


def test_too_many_items_are_refused_before_they_are_parsed(monkeypatch) -> None:
    monkeypatch.setattr(json_text, "MAX_ITEMS", 3)
    with pytest.raises(CheckpointError, match="more than 3 items"):
        parse_object(b'{"a": [1, 2, 3]}', "somewhere")


def test_infinity_passes_only_where_it_is_found_in_the_wild() -> None:
    assert parse_object(b'{"time_step_limit": [0.0, Infinity]}', "")["time_step_limit"][1] == math.inf
    with pytest.raises(CheckpointError, match="Infinity is not JSON"):
        parse_object(b'{"a": Infinity}', "", strict=True)


def test_duplicate_keys_are_refused_where_they_could_hide_something() -> None:
    assert parse_object(b'{"a": 1, "a": 2}', "") == {"a": 2}
    with pytest.raises(CheckpointError, match="'a' appears twice"):
        parse_object(b'{"b": {"a": 1, "a": 2}}', "", strict=True)


def test_a_byte_order_mark_passes_only_where_it_is_found_in_the_wild() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a": 1}', "") == {"a": 1}
    with pytest.raises(CheckpointError, match="not valid JSON"):
        parse_object(b'\xef\xbb\xbf{"a": 1}', "", strict=True)


def test_surrogate_pairs_are_ordinary_text() -> None:
    assert parse_object(b'{"a": "\\ud83d\\ude00"}', "", strict=True) == {"a": "\N{GRINNING FACE}"}


@given(st.binary() | st.text(alphabet='{}[]",:0123456789eE.-\\u dNaItfy').map(str.encode), st.booleans())
def test_any_bytes_are_an_object_or_a_clear_error(data: bytes, strict: bool) -> None:
    with contextlib.suppress(CheckpointError):
        assert isinstance(parse_object(data, "x", strict=strict), dict)
