"""What serves scores alone is measured where scores are asked for, and nothing else depends on whether it was."""

from pathlib import Path

import numpy as np
import pytest

from kinprint import methods
from kinprint.comparison import examine
from kinprint.fingerprints import Fingerprint, fingerprint, from_model
from kinprint.fingerprints.trait_table import for_scores
from kinprint.fingerprints.traits import families
from kinprint.library.vectors import vectors
from kinprint.methods import Test


@pytest.fixture(scope="module")
def without(models: Path) -> dict[str, Fingerprint]:
    return {name: fingerprint(models / name, cache=False) for name in ("base", "finetune")}


@pytest.fixture(scope="module")
def with_scores(models: Path) -> dict[str, Fingerprint]:
    return {name: fingerprint(models / name, scores=True, cache=False) for name in ("base", "finetune")}


def test_the_traits_of_scores_and_no_others_are_left_out(
    without: dict[str, Fingerprint], with_scores: dict[str, Fingerprint]
) -> None:
    some, every = without["base"].traits, with_scores["base"].traits
    assert {name for name in every if for_scores(name)} == every.keys() - some.keys() != set()
    for name in some:
        np.testing.assert_array_equal(some[name], every[name])


def test_families_left_out_are_left_out_whole() -> None:
    left_out = {family.__name__ for family in families(scores=True)} - {family.__name__ for family in families(scores=False)}
    assert left_out == {"kinprint.fingerprints.traits.products"}


def test_no_test_and_no_vector_uses_them(without: dict[str, Fingerprint], with_scores: dict[str, Fingerprint]) -> None:
    few, many = (examine((prints["base"], prints["finetune"])) for prints in (without, with_scores))
    assert few.tests == many.tests
    assert few.verdict == many.verdict == "related"
    assert not any(method.needs_scores for method in methods.known() if isinstance(method, Test))
    ours, theirs = vectors(without["base"]), vectors(with_scores["base"])
    assert ours.keys() == theirs.keys()
    assert all((ours[space] == theirs[space]).all() for space in ours)


def test_the_same_model_is_identical_either_way(without: dict[str, Fingerprint], with_scores: dict[str, Fingerprint]) -> None:
    assert without["base"].facts == with_scores["base"].facts
    assert examine((without["base"], with_scores["base"])).verdict == "identical"


def test_a_score_says_that_its_traits_were_not_measured(
    without: dict[str, Fingerprint], with_scores: dict[str, Fingerprint]
) -> None:
    comparison = examine((with_scores["base"], without["finetune"]))
    unmeasured = {item.method: item for item in comparison.scores if item.unmeasured}
    assert unmeasured.keys() == {"ghostspec-mse", "ghostspec-corr"}
    for item in unmeasured.values():
        assert "finetune" in item.note
        assert "--scores" in item.note
        assert item.to_json()["unmeasured"] is True
    assert not any(item.unmeasured for item in examine((with_scores["base"], with_scores["finetune"])).evidence)


def test_other_reasons_why_a_trait_is_missing_are_not_called_so(models: Path, with_scores: dict[str, Fingerprint]) -> None:
    quick = fingerprint(models / "base", quick=True, cache=False)
    headless = with_scores["base"]
    headless = Fingerprint(
        "headless",
        {name: trait for name, trait in headless.traits.items() if not for_scores(name)},
        headless.facts,
        headless.provenance,
    )
    for model in (quick, headless):
        assert not any(item.unmeasured for item in examine((model, with_scores["finetune"])).evidence)


def test_the_cache_gives_no_file_without_scores_to_who_asks_for_them(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path))
    measured = []
    measure = from_model.measure
    monkeypatch.setattr(from_model, "measure", lambda *a, **k: measured.append(k["scores"]) or measure(*a, **k))
    first, second = fingerprint(models / "base"), fingerprint(models / "base")
    assert measured == [False]
    assert not first.scores
    assert not second.scores
    asked, again, unasked = (fingerprint(models / "base", scores=scores) for scores in (True, True, False))
    assert measured == [False, True]
    assert asked.scores
    assert again == asked
    assert unasked == first, "a file with scores serves who does not ask for them, and says the same as one without"
    assert not unasked.scores


def test_a_file_tells_whether_it_holds_them(
    tmp_path: Path, without: dict[str, Fingerprint], with_scores: dict[str, Fingerprint]
) -> None:
    for prints, expected in ((without, False), (with_scores, True)):
        prints["base"].save(tmp_path / "base.kinprint")
        assert Fingerprint.load(tmp_path / "base.kinprint").scores is expected
    older = Fingerprint("older", with_scores["base"].traits, with_scores["base"].facts)
    assert older.scores, "files of earlier versions do not say so, and hold them"
