from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinprint.checkpoints import card
from kinprint.checkpoints.card import read_card
from kinprint.checkpoints.source import LocalFile
from kinprint.errors import CheckpointError


def read(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "README.md"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_card(LocalFile(path))


def test_the_front_matter_is_a_table_of_plain_values(tmp_path: Path) -> None:
    text = "---\nbase_model:\n- org/one\n- org/two\ngated: true\nlicense: null\ndate: 2024-01-01\nversion: 1.10\n---\n# M\n"
    assert read(tmp_path, text) == {
        "base_model": ["org/one", "org/two"],
        "gated": True,
        "license": None,
        "date": "2024-01-01",
        "version": "1.10",
    }


@pytest.mark.parametrize("text", ["", "# Title\n", "text\n---\na: 1\n---\n", "---\na: 1\n", "---\n---\n"])
def test_a_card_without_front_matter_is_empty(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {}


@pytest.mark.parametrize("text", ["---\r\na: b\r\n---\r\n", "\ufeff---\na: b\n---", "---  \na: b\n--- \nmore\n---\n"])
def test_line_ends_and_marks_do_not_matter(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {"a": "b"}


@pytest.mark.parametrize(
    "matter",
    [
        "- a list",
        "text",
        "a: [",
        "a: &x 1\nb: *x",
        "a: &x {<<: *x}",
        "a: !!python/object/apply:os.system [id]",
        "a: !!binary aGk=",
        "a: !!timestamp nonsense",
        "? [a, b]\n: c",
        "a: " + "[" * 20_000,
        "a: \x00",
    ],
)
def test_damage_and_tricks_are_clear_errors(tmp_path: Path, matter: str) -> None:
    with pytest.raises(CheckpointError, match=r"README\.md"):
        read(tmp_path, f"---\n{matter}\n---\n")


def test_an_enormous_front_matter_is_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="front matter of"):
        read(tmp_path, "---\na: " + "b" * card.MAX_FRONT_MATTER + "\n---\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.text(alphabet="ab:-\n []{}&*!|>'\"#%@,?<=~0123456789.", max_size=200))
def test_any_front_matter_is_a_table_or_a_clear_error(tmp_path: Path, matter: str) -> None:
    with contextlib.suppress(CheckpointError):
        assert isinstance(read(tmp_path, f"---\n{matter}\n---\n"), dict)
