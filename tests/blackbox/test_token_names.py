"""Which token a server means."""

from __future__ import annotations

from kinprint.blackbox.token_names import TokenNames


def test_tokens_are_known_by_id_string_and_text() -> None:
    names = TokenNames({"the": 0, "Ġthe": 1, "Ã©": 2, "Ċ": 3, "▁sea": 4})
    assert [names.id(name) for name in ("token_id:3", "Ġthe", " the", "the", "é", "\n", " sea")] == [3, 1, 1, 0, 2, 3, 4]
    assert names.id("token_id:9") is None
    assert names.id("nothing") is None


def test_a_name_of_two_tokens_is_none() -> None:
    """The letter for a byte may be the text of another token."""
    names = TokenNames({"é": 0, "Ã©": 1})
    assert names.id("é") is None
    assert names.plain() == []


def test_plain_tokens_are_those_that_any_server_names_clearly() -> None:
    names = TokenNames({"the": 0, "Ġthe": 1, "Ã©": 2, "Ġ": 3, "\x00": 4})
    assert names.plain() == [0, 1]
