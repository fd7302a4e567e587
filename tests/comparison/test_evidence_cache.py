"""What methods said is found again exactly where nothing that it depends on has changed."""

from __future__ import annotations

import math
import os
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from methods.simulated import descendant, model

from kinprint.comparison import evidence_cache, examine
from kinprint.fingerprints import Fingerprint
from kinprint.methods import Method, known
from kinprint.methods import tests as known_tests

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "evidence"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Methods that are asked, and how often."""
    counted: Counter[str] = Counter()
    ask = Method.__call__

    def counting(self: Method, *models: Any) -> Any:
        counted[self.name] += 1
        return ask(self, *models)

    monkeypatch.setattr(Method, "__call__", counting)
    return counted


@pytest.fixture(scope="module")
def pair() -> tuple[Fingerprint, Fingerprint]:
    rng = np.random.default_rng(5)
    parent = model(rng, name="parent")
    return parent, descendant(parent, rng, 0.2)


def entries(place: Path) -> list[Path]:
    return [path for path in place.glob("*/*") if path.is_file()]


def test_a_pair_is_tested_once(place: Path, asked: Counter[str], pair: tuple[Fingerprint, Fingerprint]) -> None:
    first = examine(pair, methods=known_tests(), cache=True)
    once = asked.copy()
    again = examine(pair, methods=known_tests(), cache=True)
    assert asked == once
    assert set(once) == {test.name for test in known_tests()}
    assert again.to_json() == first.to_json() == examine(pair, methods=known_tests()).to_json()
    assert len(entries(place)) == 1


def test_alpha_enters_afterwards(place: Path, asked: Counter[str], pair: tuple[Fingerprint, Fingerprint]) -> None:
    """Kept evidence serves every alpha: the verdict and what could have been seen are those of the alpha now."""
    examine(pair, methods=known_tests(), cache=True)
    once = asked.copy()
    strict = examine(pair, methods=known_tests(), cache=True, alpha=1e-300)
    assert asked == once
    assert strict.to_json() == examine(pair, methods=known_tests(), alpha=1e-300).to_json()
    assert strict.verdict == "no-evidence"


def test_nothing_is_kept_unless_asked(place: Path, pair: tuple[Fingerprint, Fingerprint]) -> None:
    examine(pair, methods=known_tests())
    assert not place.exists()


def test_more_methods_ask_the_new_ones_alone(place: Path, asked: Counter[str], pair: tuple[Fingerprint, Fingerprint]) -> None:
    examine(pair, methods=known_tests()[:2], cache=True)
    examine(pair, methods=known_tests()[:4], cache=True)
    examine(pair, methods=known_tests()[:2], cache=True)
    assert asked == {test.name: 1 for test in known_tests()[:4]}


def test_the_other_order_other_values_and_other_names_are_other_pairs(
    place: Path, asked: Counter[str], pair: tuple[Fingerprint, Fingerprint]
) -> None:
    """Notes repeat the names of models."""
    a, b = pair
    renamed = Fingerprint("renamed", b.traits, b.facts)
    changed = Fingerprint(b.name, b.traits, {**b.facts, "hidden_size": 64})
    pairs = [(a, b), (b, a), (a, renamed), (a, changed)]
    for each in pairs:
        examine(each, methods=known_tests()[:1], cache=True)
    assert asked.total() == len(entries(place)) == len(pairs)
    lacking = [test for test in known_tests() if test.name == "matched-readings"]
    assert "renamed" not in examine((a, b), methods=lacking, cache=True).evidence[0].note
    assert "parent" in examine((a, renamed), methods=lacking, cache=True).evidence[0].note


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "of another pair", "no evidence"])
def test_a_damaged_entry_is_ignored_and_written_again(
    place: Path, asked: Counter[str], pair: tuple[Fingerprint, Fingerprint], damage: str
) -> None:
    first = examine(pair, methods=known_tests(), cache=True)
    (entry,) = entries(place)
    good = entry.read_bytes()
    if damage == "of another pair":
        examine(pair[::-1], methods=known_tests(), cache=True)
        (other,) = (path for path in entries(place) if path != entry)
        entry.write_bytes(other.read_bytes())
    else:
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 1
        nothing = b"[1]"
        entry.write_bytes({
            "empty": b"",
            "cut": good[:-1],
            "flipped": bytes(flipped),
            "foreign": b'{"format": "something else"}',
            "no evidence": evidence_cache._head(entry.name, nothing) + b"\n" + nothing,
        }[damage])  # fmt: skip
    before = asked.total()
    assert examine(pair, methods=known_tests(), cache=True).to_json() == first.to_json()
    assert asked.total() == before + len(known_tests())
    assert entry.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[Fingerprint, Fingerprint]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path / "file"))
    assert examine(pair, methods=known_tests()[:1], cache=True).evidence[0].applies


def test_changed_code_is_another_key(tmp_path: Path) -> None:
    """A byte of any file that a method may import counts, and nothing above them does."""
    for name in ("methods/a.py", "statistics/b.py", "errors.py", "cli/c.py", "methods/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")

    def after(name: str) -> str | None:
        evidence_cache.code_digest.cache_clear()
        (tmp_path / name).write_text("2")
        return evidence_cache.code_digest(tmp_path, math.inf)

    before = evidence_cache.code_digest(tmp_path, math.inf)
    assert before is not None
    assert after("cli/c.py") == after("methods/__pycache__/a.pyc") == before
    seen = [before, after("methods/a.py"), after("statistics/b.py"), after("errors.py")]
    assert len(set(seen)) == 4
    evidence_cache.code_digest.cache_clear()


def test_code_that_changed_since_it_was_loaded_keeps_nothing(tmp_path: Path) -> None:
    """What runs is then not what its files say."""
    (tmp_path / "a.py").write_text("1")
    assert evidence_cache.code_digest(tmp_path, (tmp_path / "a.py").stat().st_ctime + 1) is not None
    assert evidence_cache.code_digest(tmp_path, (tmp_path / "a.py").stat().st_ctime - 1) is None


def test_what_does_not_count_lies_above_the_methods() -> None:
    """Imports point down the layers, so no method can import what the key leaves out."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert set(evidence_cache.ABOVE) <= set(layers[: layers.index("comparison")])


def test_without_source_files_nothing_is_kept(tmp_path: Path) -> None:
    assert evidence_cache.code_digest(tmp_path, math.inf) is None


def test_only_methods_whose_code_is_known_are_kept() -> None:
    """Not those that another package defines or changes, nor deep ones, which look at more than fingerprints."""
    plain = known_tests()[0]
    assert evidence_cache.keepable(plain)
    assert not evidence_cache.keepable(replace(plain, run=lambda reference, suspect: plain.run(reference, suspect)))
    assert not evidence_cache.keepable(replace(plain, null="another"))
    assert not any(evidence_cache.keepable(method) for method in known() if method.deep)


def test_entries_not_used_for_longest_are_removed(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02x}" / "entry" for number in range(10)]
    for age, path in enumerate(paths):
        path.parent.mkdir()
        path.write_bytes(bytes(10))
        os.utime(path, (1000 - age, 1000 - age))
    evidence_cache._bound(tmp_path, most=100, left=50)
    assert all(path.exists() for path in paths)
    evidence_cache._bound(tmp_path, most=99, left=50)
    assert [path.exists() for path in paths] == [True] * 5 + [False] * 5


def test_using_an_entry_makes_it_young(place: Path, pair: tuple[Fingerprint, Fingerprint]) -> None:
    examine(pair, methods=known_tests()[:1], cache=True)
    (entry,) = entries(place)
    os.utime(entry, (1000, 1000))
    examine(pair, methods=known_tests()[:1], cache=True)
    assert entry.stat().st_mtime > 1000
