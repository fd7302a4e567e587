from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kinprint.checkpoints.folders import LocalFolder
from kinprint.checkpoints.tokenizer import read_vocabulary, tokenizer_files
from kinprint.errors import CheckpointError


def vocabulary(folder: Path, **files: Any) -> dict[str, int]:
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8", newline="")
    return read_vocabulary(tokenizer_files(LocalFolder(folder)))


def test_no_tokenizer_is_an_empty_vocabulary(tmp_path: Path) -> None:
    assert tokenizer_files(LocalFolder(tmp_path)) == ()
    assert vocabulary(tmp_path) == {}


def test_tables_of_tokens_with_added_ones(tmp_path: Path) -> None:
    content = {"model": {"type": "BPE", "vocab": {"a": 0, "é": 1}}, "added_tokens": [{"id": 2, "content": "<s>"}]}
    assert vocabulary(tmp_path, tokenizer_json=content) == {"a": 0, "é": 1, "<s>": 2}


def test_unigram_pieces_count_from_zero(tmp_path: Path) -> None:
    content = {"model": {"type": "Unigram", "vocab": [["<unk>", 0.0], ["▁the", -3.1]]}, "added_tokens": None}
    assert vocabulary(tmp_path, tokenizer_json=content) == {"<unk>": 0, "▁the": 1}


def test_vocab_json_with_added_tokens(tmp_path: Path) -> None:
    assert vocabulary(tmp_path, vocab_json={"a": 0}, added_tokens_json={"<s>": 1}) == {"a": 0, "<s>": 1}


def test_vocab_txt_has_a_token_a_line(tmp_path: Path) -> None:
    assert vocabulary(tmp_path, vocab_txt="[PAD]\r\nthe\r\n\u2028\r\n") == {"[PAD]": 0, "the": 1, "\u2028": 2}


def test_tokenizer_json_is_preferred(tmp_path: Path) -> None:
    assert vocabulary(tmp_path, vocab_json={"a": 0}, tokenizer_json={"model": {"vocab": {"b": 0}}}) == {"b": 0}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        {},
        {"model": 3},
        {"model": {"vocab": 3}},
        {"model": {"vocab": {"a": "0"}}},
        {"model": {"vocab": {"a": True}}},
        {"model": {"vocab": {"a": -1}}},
        {"model": {"vocab": {"a": 2**40}}},
        {"model": {"vocab": ["a"]}},
        {"model": {"vocab": [[]]}},
        {"model": {"vocab": {}}, "added_tokens": {"a": 1}},
        {"model": {"vocab": {}}, "added_tokens": ["a"]},
        {"model": {"vocab": {}}, "added_tokens": [{}]},
        {"model": {"vocab": {}}, "added_tokens": [{"content": [], "id": 0}]},
    ],
)
def test_damage_is_a_clear_error(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        vocabulary(tmp_path, tokenizer_json=content)
