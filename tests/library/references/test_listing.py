"""The list that ships names models that can be opened, and says of every fact where it was read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kinprint.errors import LibraryError
from kinprint.library.references.listing import FILE, FIRST, FORMAT, Reference, references

LISTED = json.loads(FILE.read_text())
SPDX = ("Apache-2.0", "MIT", "CC-BY-SA-4.0", "BSD-3-Clause")
FACTS = ("id", "family", "size", "architecture", "layers", "hidden_size", "licence")


def test_about_two_hundred_models() -> None:
    """Ids are unique whatever their case, and valid (`references` refuses others)."""
    found = references()
    assert len(found) >= 200
    assert len({model.id.lower() for model in found}) == len(found)
    assert all(len(model.id) <= 96 and "--" not in model.id for model in found)


def test_every_fact_has_a_source() -> None:
    """And no source is named for what is not said; every source is an address with a commit, or the id."""
    for row in LISTED["models"]:
        told = {fact for fact in FACTS if row[fact] is not None}
        assert set(row["sources"]) == told, row["id"]
        assert set(row["sources"].values()) <= set(LISTED["sources"]), row["id"]
    pinned = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/\S+")
    assert all(pinned.fullmatch(text) for key, text in LISTED["sources"].items() if key != "id")


@pytest.mark.parametrize("row", LISTED["models"], ids=lambda row: row["id"])
def test_facts_are_plausible(row: dict[str, Any]) -> None:
    """Licences are named as SPDX names them; a size is that of the id and fits layers and channels where these are known."""
    assert row["revision"] == "main" or re.fullmatch("[0-9a-f]{40}", row["revision"])
    assert row["family"]
    if row["licence"] is not None:
        assert row["licence"] in SPDX or re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", row["licence"])
    if row["size"] is not None:
        assert row["size"].lower().replace(".", "_") in row["id"].lower().replace(".", "_")
    if row["layers"] is None:
        return
    assert 4 <= row["layers"] <= 150
    assert 64 <= row["hidden_size"] <= 20_000
    if row["size"] is not None and (number := re.fullmatch(r"([\d.]+)([BM])", row["size"], re.IGNORECASE)):
        parameters = float(number[1]) * {"b": 1e9, "m": 1e6}[number[2].lower()]
        blocks = 12 * row["layers"] * row["hidden_size"] ** 2  # of a model with four neurons a channel, without embeddings
        assert 0.05 < blocks / parameters < 2


def test_the_first_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is what its rule makes of the lists of the package, and every id stands in one of them."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    import first_models

    assert FIRST.read_text() == first_models.text(), "run: python benchmarks/first_models.py write"
    rows = json.loads(FIRST.read_text())["models"]
    known = {row["id"] for row in LISTED["models"]}
    assert [row["id"] for row in rows] == [model.id for model in references(FIRST)]
    assert [row["place"] for row in rows] == list(range(1, 101))
    assert all(row["id"] in known or row["pairs"] for row in rows)
    counts = [sum(row["pairs"].values()) for row in rows]
    assert counts == sorted(counts, reverse=True)


def test_families() -> None:
    """A family by its name or the beginning of it."""
    assert {model.family for model in references(families=["Pythia"])} == {"pythia"}
    assert {model.family for model in references(families=["qwen2.5"])} >= {"qwen2.5", "qwen2.5-coder"}
    with pytest.raises(LibraryError, match="no model of nobody"):
        references(families=["nobody"])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "no list"),
        ({"format": FORMAT, "models": {}}, "no list"),
        ({"format": FORMAT, "models": [{"id": "../x/y"}]}, "of the form org/name"),
        ({"format": FORMAT, "models": [{"id": "a/..b"}]}, "of the form org/name"),
        ({"format": FORMAT, "models": [3]}, "of the form org/name"),
        ({"format": FORMAT, "models": [{"id": "a/b", "revision": "../main"}]}, "revision"),
        ({"format": FORMAT, "models": [{"id": "a/b"}, {"id": "a/b"}]}, "twice"),
    ],
)
def test_lists_of_strangers(tmp_path: Path, content: Any, why: str) -> None:
    """A list that is none is refused in one line."""
    (tmp_path / "list.json").write_text(json.dumps(content))
    with pytest.raises(LibraryError, match=why):
        references(tmp_path / "list.json")


def test_facts_of_strangers_are_harmless(tmp_path: Path) -> None:
    """What has not the form of a fact is none."""
    row = {"id": "a/b", "family": 3, "size": "\x1b[2J", "layers": -1, "hidden_size": 1e99, "licence": ["MIT"], "sources": 1}
    (tmp_path / "list.json").write_text(json.dumps({"format": FORMAT, "models": [row]}))
    assert references(tmp_path / "list.json") == [Reference("a/b", size="\\x1b[2J", sources={})]
