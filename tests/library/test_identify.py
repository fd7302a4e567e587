"""Identification: candidates are tested, p-values corrected for the whole library, a stranger gets no relative."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from methods.simulated import descendant, model
from numpy.typing import ArrayLike

from kinprint import compare
from kinprint.errors import LibraryError
from kinprint.fingerprints import Fingerprint
from kinprint.library.identify import Candidate, identify, retrieve
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import vectors
from kinprint.methods import known


@dataclass(frozen=True)
class Named:
    digest: str


class Memory:
    """Fingerprints as a library, compared exactly; `broken` cannot be read, `copies` stand for more models than there are."""

    where = "memory"

    def __init__(self, *fingerprints: Fingerprint, broken: frozenset[str] = frozenset(), copies: int = 0) -> None:
        self.by_digest = {item.digest: item for item in fingerprints}
        self.broken, self.copies, self.asked = broken, copies, list[str]()

    def __len__(self) -> int:
        return len(self.by_digest) + self.copies

    def models(self) -> list[Named]:
        return [Named(digest) for digest in self.by_digest]

    def get(self, text: str, /) -> Fingerprint:
        self.asked.append(text)
        if text in self.broken:
            raise LibraryError("memory", "its bytes are missing")
        return self.by_digest[text]

    def nearest(self, space: str, vector: ArrayLike, count: int) -> list[tuple[str, float]]:
        there = {digest: found for digest, item in self.by_digest.items() if (found := vectors(item).get(space)) is not None}
        return sorted(((d, float(v @ np.asarray(vector))) for d, v in there.items()), key=lambda pair: -pair[1])[:count]


@pytest.fixture(scope="module")
def strangers() -> list[Fingerprint]:
    rng = np.random.default_rng(1)
    return [model(rng, name=f"stranger {number}") for number in range(8)]


@pytest.fixture(scope="module")
def family() -> tuple[Fingerprint, Fingerprint]:
    rng = np.random.default_rng(2)
    parent = model(rng, name="parent")
    return parent, descendant(parent, rng, 0.1)


def test_the_parent_is_first_and_alone(strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint]) -> None:
    parent, child = family
    found = identify(child, Memory(*strangers, parent), candidates=5)
    assert [finding.name for finding in found.relatives] == ["parent"]
    assert found.verdict == "related"
    assert found.searched == 9
    assert len(found.findings) == 5
    assert max(found.relatives[0].cosines, key=found.relatives[0].cosines.__getitem__) in DIMENSIONS
    assert "parent" in found.sentence()


def test_p_values_are_multiplied_by_all_that_was_searched(family: tuple[Fingerprint, Fingerprint]) -> None:
    """Not by the candidates alone: retrieval looked at everything, with the same data."""
    parent, child = family
    alone = compare(parent, child).log10_p
    found = identify(child, Memory(parent, copies=999_999), candidates=5).findings[0]
    assert alone is not None
    assert found.uncorrected == pytest.approx(alone)
    assert found.log10_p == pytest.approx(alone + 6)


def test_what_is_significant_alone_may_not_be_in_a_large_library(family: tuple[Fingerprint, Fingerprint]) -> None:
    parent, child = family
    alone = compare(parent, child).log10_p
    assert alone is not None
    alpha = 10 ** (alone + 1)
    assert identify(child, Memory(parent, copies=8), alpha=alpha).verdict == "related"
    beyond = identify(child, Memory(parent, copies=98), alpha=alpha)
    assert beyond.verdict == "no-evidence"
    assert not beyond.relatives


def test_strangers_get_no_relative(strangers: list[Fingerprint]) -> None:
    """H0: independent models, each in the library of all others. Corrected p-values of 1e-6 in 8 searches: none."""
    for suspect in strangers:
        found = identify(suspect, Memory(*(item for item in strangers if item is not suspect)))
        assert found.verdict == "no-evidence"
        assert "no relative found" in found.sentence()
        assert len(found.findings) == len(strangers) - 1


def test_the_model_itself_is_identical(strangers: list[Fingerprint]) -> None:
    digests = {"digest_parts": ["0.q"]}
    own = Fingerprint("own", {**strangers[0].traits, "digests": np.zeros((1, 32), np.uint8)}, {**strangers[0].facts, **digests})
    found = identify(own, Memory(*strangers[1:], own), candidates=3)
    assert found.verdict == "identical"
    assert found.findings[0].digest == own.digest
    assert "the same weights" in found.sentence()


def test_only_candidates_are_loaded(strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint]) -> None:
    library = Memory(*strangers, family[0])
    found = identify(family[1], library, candidates=2)
    assert len(library.asked) == 2
    assert "7 models not among the nearest" in " ".join(found.unseen())


def test_a_small_library_is_tested_whole_also_without_vectors(strangers: list[Fingerprint]) -> None:
    """A model whose traits give no vector is tested all the same."""
    bare = Fingerprint("bare", {name: strangers[0].traits[name] for name in ("heads.qk_spectrum", "heads.vo_spectrum")})
    assert not vectors(bare)
    found = identify(strangers[0], Memory(bare, strangers[1]))
    assert {finding.name for finding in found.findings} == {"bare", "stranger 1"}


def test_what_cannot_be_read_is_named_and_counts_as_searched(
    strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint]
) -> None:
    parent, child = family
    found = identify(child, Memory(*strangers, parent, broken=frozenset({strangers[3].digest})))
    assert found.relatives[0].name == "parent"
    assert [digest for digest, _ in found.unreadable] == [strangers[3].digest]
    assert found.searched == 9
    assert "cannot be read" in " ".join(found.unseen())


def test_an_empty_library_says_nothing(family: tuple[Fingerprint, Fingerprint]) -> None:
    found = identify(family[1], Memory())
    assert found.verdict == "untestable"
    assert "empty" in found.sentence()


def test_retrieval_weighs_spaces_by_what_strangers_reach() -> None:
    """A cosine of 0.4 in 256 dimensions is further out than 0.5 in 128."""
    assert Candidate("a", {"signs": 0.4}).strength > Candidate("b", {"channels": 0.5}).strength


def test_retrieval_takes_the_best_of_all_spaces(family: tuple[Fingerprint, Fingerprint], strangers: list[Fingerprint]) -> None:
    own = vectors(family[1])
    found = retrieve(own, Memory(*strangers, family[0]), 4)
    assert found[0].digest == family[0].digest
    assert [candidate.strength for candidate in found] == sorted((c.strength for c in found), reverse=True)
    assert len(found) == 4


def test_only_tests_run(family: tuple[Fingerprint, Fingerprint]) -> None:
    """Scores never decide, so a search does not spend time on them."""
    kinds = {method.name: method.kind for method in known()}
    found = identify(family[1], Memory(family[0])).findings[0]
    assert found.strongest is not None
    assert kinds[found.strongest.method] == "test"


def test_json_says_what_was_searched(strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint]) -> None:
    parent, child = family
    said = json.loads(json.dumps(identify(child, Memory(*strangers, parent), candidates=4).to_json(), allow_nan=False))
    assert said["format"] == "kinprint-identification/1"
    assert (said["searched"], said["tested"], said["verdict"]) == (9, 4, "related")
    assert said["suspect"]["digest"] == child.digest
    relative = said["relatives"][0]
    assert relative["name"] == "parent"
    assert relative["log10_p"] == pytest.approx(relative["uncorrected_log10_p"] + math.log10(9))
    assert set(relative["found_by"]) <= set(DIMENSIONS)
    assert said["unseen"]
