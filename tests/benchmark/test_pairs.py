"""Where pairs come from, and lists that cannot be used."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from benchmark import runs

from kinprint.benchmark import Pair, from_list, from_zoo
from kinprint.errors import ZooError


def write(folder: Path, rows: object) -> Path:
    path = folder / "pairs.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def test_a_zoo(tmp_path: Path) -> None:
    runs.lineage().write(tmp_path)
    found = from_zoo(tmp_path)
    assert found.pairs == tuple(
        Pair(p.reference, p.suspect, p.truth, p.kind, p.disguised, "lineage") for p in runs.pairs().pairs
    )
    assert found.models["base0"] == str(tmp_path / "base0")


def test_a_list(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    rows = [
        {"a": "mine", "b": "org/tuned", "related": True, "relation": "finetune", "source": "card"},
        {"a": "org/tuned", "b": "mine", "related": True, "relation": "finetune"},
        {"a": "mine", "b": "org/other", "related": False, "relation": "none"},
        {"a": "mine", "b": "org/sibling", "related": True, "relation": "none"},
        {"a": "x", "b": "y", "truth": "related", "relation": "none", "disguised": True},
        {"a": "x", "b": "x", "related": True, "relation": "instruct"},
    ]
    found = from_list(write(tmp_path, rows))
    assert [(p.truth, p.kind, p.disguised) for p in found.pairs] == [
        ("related", "finetune", False),
        ("unrelated", "unrelated", False),
        ("shared-initialisation", "siblings or shared initialisation", False),
        ("related", "related", True),
        ("related", "the same model", False),
    ]
    assert found.models["mine"] == str(tmp_path / "mine")
    assert found.models["org/tuned"] == "org/tuned"


def test_the_published_list(data: Path) -> None:
    """230 pairs; the three marked related without a relation are siblings or share a seed."""
    counts = Counter(pair.truth for pair in from_list(data / "labelled_hub_pairs.json").pairs)
    assert counts["shared-initialisation"] == 3
    assert counts["unrelated"] == 56
    assert counts["related"] > 150


@pytest.mark.parametrize(
    "rows",
    [
        "",
        "{",
        "[" * 100_000,
        "{}",
        [],
        ["pair"],
        [{"a": "x"}],
        [{"a": "x", "b": "x", "related": False}],
        [{"a": "x", "b": 3, "related": True}],
        [{"a": "x", "b": "y"}],
        [{"a": "x", "b": "y", "related": "yes"}],
        [{"a": "x", "b": "y", "truth": "guilty"}],
        [{"a": "x", "b": "y", "truth": []}],
        [{"a": "x", "b": "y", "related": True, "disguised": 1}],
        [{"a": "x", "b": "y", "related": True, "relation": "t"}, {"a": "y", "b": "x", "related": False}],
    ],
)
def test_lists_that_cannot_be_used(tmp_path: Path, rows: object) -> None:
    with pytest.raises(ZooError, match=r"pairs\.json"):
        from_list(write(tmp_path, rows))


def test_lists_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(ZooError):
            from_list(path)
    with pytest.raises(ZooError):
        from_zoo(tmp_path)
