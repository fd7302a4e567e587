"""Identification: candidates are tested, p-values corrected for the whole library, a stranger gets no relative."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from library.pairs_tested import pairs_tested_by
from methods.simulated import descendant, model
from numpy.typing import ArrayLike

from kinprint import compare
from kinprint.comparison.comparison import FABRICATION
from kinprint.errors import LibraryError
from kinprint.fingerprints import Fingerprint
from kinprint.library import identify as module
from kinprint.library.identify import Candidate, identify, retrieve
from kinprint.library.parts import Query, parts, queries
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import vectors
from kinprint.methods import Method, known


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

    def contents(self, digests: Iterable[str], /) -> dict[str, str]:
        return {digest: content for digest in digests if (content := self.by_digest[digest].stated.content) is not None}

    def get(self, text: str, /) -> Fingerprint:
        self.asked.append(text)
        if text in self.broken:
            raise LibraryError("memory", "its bytes are missing")
        return self.by_digest[text]

    def nearest(self, space: str, vector: ArrayLike, count: int, part: str = "") -> list[tuple[str, float]]:
        own = {digest: parts(item).get(part) if part else item for digest, item in self.by_digest.items()}
        there = {digest: found for digest, item in own.items() if item and (found := vectors(item).get(space)) is not None}
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


def with_content(model: Fingerprint, content: str, name: str = "") -> Fingerprint:
    """A fingerprint that states the digests of its model's weights."""
    digests = {"digests": np.frombuffer(content.encode().ljust(32)[:32], np.uint8)[None]}
    facts = {**model.facts, "digest_parts": ["0.q"], "content": content, "others": []}
    return Fingerprint(name or model.name, {**model.traits, **digests}, facts)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Names of the pairs that are tested."""
    return pairs_tested_by(module, monkeypatch)


def test_the_model_itself_is_no_relative_of_itself(
    strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint]
) -> None:
    """The same weights under the same name: said, and the search goes on; its p-values are corrected for all models."""
    own = with_content(family[0], "own")
    found = identify(own, Memory(*strangers, family[1], own))
    assert (found.verdict, found.itself, found.left_out) == ("related", "parent", 0)
    assert found.headline() == "1 relative: descendant"
    assert [finding.name for finding in found.relatives] == ["descendant"]
    assert found.sentence().startswith("parent is in this library as parent. parent shares")
    assert found.to_json()["itself"] == "parent"
    assert found.to_json()["fabrication"] == FABRICATION
    alone = compare(family[1], own).log10_p
    assert alone is not None
    assert found.relatives[0].log10_p == pytest.approx(alone + 1)
    without = identify(own, Memory(*strangers, own))
    assert without.fabrication is None
    assert (without.verdict, without.headline()) == ("no-evidence", "No relative found")
    assert "no other relative found" in without.sentence()
    only = identify(own, Memory(own))
    assert only.verdict == "untestable"
    assert "Nothing else is in it" in only.sentence()


def test_a_copy_needs_no_test_and_ends_the_search(
    strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint], counted: list[tuple[str, str]]
) -> None:
    """The identical one is all that is loaded; what was left out is said in words and numbers."""
    own = with_content(family[0], "own")
    library = Memory(*strangers, family[1], own)
    found = identify(with_content(family[0], "own", "renamed"), library)
    assert (library.asked, counted) == ([own.digest], [])
    assert (found.verdict, found.left_out, found.tested, len(found.findings)) == ("identical", 9, 0, 1)
    assert found.findings[0].digest == own.digest
    assert found.findings[0].log10_p is None
    assert "the same weights" in found.sentence()
    assert "9 more candidates" in found.unseen()[0]
    assert "--all" in found.unseen()[0]
    said = found.to_json()
    assert (said["searched"], said["tested"], said["left_out"]) == (10, 0, 9)
    assert "by 10, the number of models in the library, tested or not" in said["correction"]


def test_all_tests_the_others_too_and_changes_no_p_value(
    strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint], counted: list[tuple[str, str]]
) -> None:
    own = with_content(family[0], "own")
    found = identify(with_content(family[0], "own", "renamed"), Memory(*strangers, family[1], own), test_all=True)
    assert [finding.name for finding in found.relatives] == ["parent", "descendant"]
    assert (found.left_out, found.tested, len(counted)) == (0, 9, 9)
    alone = compare(family[1], own).log10_p
    assert alone is not None
    assert found.relatives[1].log10_p == pytest.approx(alone + 1)


def test_every_copy_of_the_weights_is_named(strangers: list[Fingerprint], counted: list[tuple[str, str]]) -> None:
    """Uploads of one model, with other configurations."""
    own = with_content(strangers[0], "own")
    copies = [Fingerprint(f"copy {n}", own.traits, {**own.facts, "vocab_size": n}) for n in range(3)]
    found = identify(own, Memory(*strangers[1:], *copies))
    assert [finding.name for finding in found.findings] == ["copy 0", "copy 1", "copy 2"]
    assert {finding.verdict for finding in found.findings} == {"identical"}
    assert (found.left_out, counted) == (7, [])


def test_the_same_weights_beside_other_buffers_are_tested(strangers: list[Fingerprint], counted: list[tuple[str, str]]) -> None:
    """The digest of the weights alone is no answer: what models compute themselves must not differ either."""
    buffer = {"name": "inv_freq", "what": "buffers", "bytes": 4, "dtype": "float32", "buffer": True}

    def beside(number: int) -> Fingerprint:
        plain = with_content(strangers[0], "own", f"beside {number}")
        traits = {"others.digests": np.full((1, 32), number, np.uint8), "others.samples": np.full((1, 16), float(number))}
        return Fingerprint(plain.name, {**plain.traits, **traits}, {**plain.facts, "others": [buffer]})

    found = identify(beside(1), Memory(*strangers[1:], beside(2)))
    assert found.findings[0].name == "beside 2"
    assert found.verdict == "related"
    assert (found.left_out, len(counted)) == (0, 8)


def test_a_copy_that_rounding_hides_from_the_digest_ends_the_search_when_it_is_met(
    strangers: list[Fingerprint], counted: list[tuple[str, str]]
) -> None:
    """A cast copy is identical by its sampled weights. It is the likeliest, so it is looked at first."""
    role = {"sample.q": np.random.default_rng(3).standard_normal((4, 256)).astype(np.float16)}

    def stored(dtype: str) -> Fingerprint:
        plain = with_content(strangers[0], dtype, dtype)
        return Fingerprint(dtype, {**plain.traits, **role}, {**plain.facts, "dtypes": {"q": dtype}})

    found = identify(stored("float16"), Memory(*strangers[1:], stored("float32")), workers=1)
    assert [finding.name for finding in found.findings] == ["float32"]
    assert (found.verdict, found.left_out, counted) == ("identical", 7, [])


@pytest.mark.parametrize("workers", [1, 3])
def test_the_likeliest_are_tested_first_and_order_changes_no_p_value(
    strangers: list[Fingerprint], family: tuple[Fingerprint, Fingerprint], counted: list[tuple[str, str]], workers: int
) -> None:
    """Each pair once, each fingerprint loaded once, and the same answer from any number of threads and order of storage."""
    parent, child = family
    library = Memory(*strangers, parent)
    found = identify(child, library, workers=workers)
    assert sorted(library.asked) == sorted(library.by_digest)
    assert len(counted) == 9
    if workers == 1:
        assert counted[0] == (parent.name, child.name)
        strengths = [Candidate(finding.digest, finding.cosines).strength for finding in found.findings]
        assert dict(zip((finding.name for finding in found.findings), strengths, strict=True))[counted[-1][0]] == min(strengths)
    turned = identify(child, Memory(parent, *reversed(strangers)), workers=1)
    assert [item.to_json() for item in found.findings] == [item.to_json() for item in turned.findings]


def test_a_second_search_tests_nothing(
    strangers: list[Fingerprint],
    family: tuple[Fingerprint, Fingerprint],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path))
    first = identify(family[1], Memory(*strangers[:2], family[0]), cache=True)
    monkeypatch.setattr(Method, "__call__", lambda *_: pytest.fail("a method was asked"))
    again = identify(family[1], Memory(*strangers[:2], family[0]), cache=True)
    assert again.to_json() == first.to_json()


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
    found = retrieve(queries(family[1]), Memory(*strangers, family[0]), 4)
    assert found[0].digest == family[0].digest
    assert found[0].strength == max(candidate.strength for candidate in found)
    assert len(found) == 4


def test_strangers_that_are_near_in_one_space_crowd_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `forms` all models of a recipe may be nearer than a relative is by labels."""
    near = {"forms": [(f"stranger {number}", 0.6 - number / 1000) for number in range(50)], "channels": [("parent", 0.5)]}
    library = Memory()
    monkeypatch.setattr(library, "nearest", lambda space, vector, count, part: near.get(space, [])[:count])
    own = [Query("", space, np.ones(DIMENSIONS[space], np.float32)) for space in near]
    found = retrieve(own, library, 4)
    assert [candidate.digest for candidate in found] == ["stranger 0", "parent", "stranger 1", "stranger 2"]


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


def test_what_a_model_was_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy whose smaller entries are zeros: of two relatives the original is named, with how often such arrows are true."""
    from kinprint.library.descent import arrows
    from kinprint.transforms import known as transforms
    from kinprint.zoo.habits import measured, stranger

    monkeypatch.setattr(arrows, "measured", lambda: {"entries set to zero": (50, 50)})
    base = stranger("llama", 1)
    sister = transforms()["noise"](base, amount=0.02, seed=1)
    copy = transforms()["prune"](base, kind="magnitude", amount=0.4)
    original, other, zeroed = (measured(each, name) for each, name in ((base, "original"), (sister, "other"), (copy, "zeroed")))
    found = identify(zeroed, Memory(original, other))
    assert found.ancestor is not None
    assert found.ancestor[0].name == "original"
    assert "It was made from the weights of original, or of a copy (entries set to zero: true in 50 of 50" in found.sentence()
    assert found.to_json()["ancestor"]["name"] == "original"
    back = identify(original, Memory(zeroed, other))
    assert back.ancestor is None
    assert [made.name for made, _ in back.descendants] == ["zeroed"]
    assert "zeroed was made from its weights, or from a copy" in back.sentence()
    among = identify(other, Memory(original, zeroed))
    assert among.ancestor is None
    assert among.sentence().endswith("The tests do not say who descends from whom, nor whether it was allowed.")
