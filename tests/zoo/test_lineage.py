"""The truth about pairs follows from who descends from whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinprint.errors import ZooError
from kinprint.zoo import Lineage, Member

MEMBERS = (
    Member("base", "llama", "base", initialisation="llama-0"),
    Member("tuned", "llama", "fine-tune", ("base",)),
    Member("hidden", "llama", "disguise", ("tuned",), disguise=True),
    Member("pruned", "llama", "pruned", ("base",)),
    Member("other", "llama", "base", initialisation="llama-1"),
    Member("again", "llama", "base", initialisation="llama-0"),
    Member("student", "llama", "distilled", initialisation="llama-2", teacher="base"),
    Member("gpt", "gpt2", "base", initialisation="gpt2-0"),
    Member("merged", "llama", "merge", ("tuned", "pruned")),
)
LINEAGE = Lineage("tiny", {member.name: member for member in MEMBERS})


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("base", "tuned", ("base", "tuned", "related", "fine-tune", False)),
        ("hidden", "base", ("base", "hidden", "related", "fine-tune + disguise", True)),
        ("tuned", "pruned", ("tuned", "pruned", "related", "relatives", False)),
        ("hidden", "pruned", ("hidden", "pruned", "related", "relatives", True)),
        ("base", "merged", ("base", "merged", "related", "fine-tune + merge", False)),
        ("base", "other", ("base", "other", "unrelated", "same family", False)),
        ("hidden", "other", ("hidden", "other", "unrelated", "same family", True)),
        ("base", "student", ("base", "student", "unrelated", "distilled", False)),
        ("tuned", "again", ("tuned", "again", "shared-initialisation", "shared initialisation", False)),
        ("base", "gpt", ("base", "gpt", "unrelated", "other family", False)),
    ],
)
def test_relations(a: str, b: str, expected: tuple[str, str, str, str, bool]) -> None:
    found = LINEAGE.relation(a, b)
    assert (found.reference, found.suspect, found.truth, found.kind, found.disguised) == expected


def test_strangers_with_one_habit() -> None:
    """Who shares a habit of labels, by itself or by descent, and nothing else, is a hard negative of a kind of its own."""
    rows = [
        Member("one", "llama", "base"),
        Member("one-sorted", "llama", "sorted", ("one",), habit="sorted"),
        Member("one-noisy", "llama", "noise", ("one-sorted",)),
        Member("other", "llama", "base"),
        Member("other-sorted", "llama", "sorted", ("other",), habit="sorted"),
        Member("other-padded", "gpt2", "padded", ("other",), habit="padded"),
    ]
    lineage = Lineage("tiny", {member.name: member for member in rows})
    for name in ("one-sorted", "one-noisy"):
        found = lineage.relation(name, "other-sorted")
        assert (found.truth, found.kind) == ("unrelated", "same habit")
    assert lineage.relation("one-sorted", "other").kind == "same family"
    assert lineage.relation("one-sorted", "other-padded").kind == "other family"
    assert lineage.relation("one", "one-noisy").kind == "sorted + noise"


def test_every_pair_comes_once() -> None:
    pairs = [{relation.reference, relation.suspect} for relation in LINEAGE.pairs()]
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 9 * 8 // 2


def test_what_is_written_is_read(tmp_path: Path) -> None:
    LINEAGE.write(tmp_path)
    assert Lineage.read(tmp_path) == LINEAGE


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": "kinprint-zoo/2"}',
        json.dumps({"format": "kinprint-zoo/1", "size": "tiny", "models": [{"name": "../x", "family": "a", "kind": "b"}]}),
        json.dumps(
            {"format": "kinprint-zoo/1", "size": "s", "models": [{"name": "x", "family": "a", "kind": "b", "parents": ["y"]}]}
        ),
    ],
)
def test_damaged_lineage_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "lineage.json").write_text(content)
    with pytest.raises(ZooError, match=r"lineage\.json"):
        Lineage.read(tmp_path)


def test_missing_lineage_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="zoo build"):
        Lineage.read(tmp_path)
