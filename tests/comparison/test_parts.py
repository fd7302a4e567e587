"""Which parts of two models are shared: made of the shipped models, and of towers beside language models, of known truth."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from towers import written

from kinprint import compare
from kinprint.architectures.components import KINDS
from kinprint.comparison.one_part import one_part
from kinprint.comparison.parts import SharedPart, State, sentence
from kinprint.terms import COMPONENTS

PARTS = {"input embedding": ("embed_tokens.",), "attention": (".self_attn.",), "FFN": (".mlp.",)}


def states(reference: Path, suspect: Path) -> dict[str, str]:
    return {part.part: part.state for part in compare(reference, suspect).parts}


@pytest.fixture
def transplanted(models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """The twin, a stranger of the base, with one part of the base's."""

    def made(part: str) -> Path:
        folder = tmp_path / "transplanted"
        shutil.copytree(models / "twin", folder)
        weights = next(folder.glob("*.safetensors"))
        own, other = load_file(weights), load_file(next((models / "base").glob("*.safetensors")))
        save_file({k: other[k] if any(piece in k for piece in PARTS[part]) else v for k, v in own.items()}, weights)
        return folder

    return made


@pytest.mark.parametrize("part", PARTS)
def test_both_owners_are_named(part: str, models: Path, transplanted: Callable[[str], Path]) -> None:
    """H1 for one part, H0 for the others, once for each of the two models that a transplant was made of."""
    folder = transplanted(part)
    rest = {each for each in PARTS if each != part}
    donor = states(models / "base", folder)
    assert donor[part] == "identical"
    assert {donor[each] for each in rest} == {"no-evidence"}
    body = states(models / "twin", folder)
    assert body[part] == "no-evidence"
    assert {body[each] for each in rest} == {"identical"}
    found = compare(models / "base", folder)
    assert found.verdict == "related"
    assert "By part: " in found.sentence()
    assert "no relation" in found.sentence()
    assert found.forgeable is False
    assert [each["part"] for each in found.to_json()["parts"]] == [each.part for each in found.parts]


def test_an_embedding_beside_kin_only_follows(models: Path) -> None:
    """Its columns are channels that the layers have in common: that it agrees is no sign of its own. Strangers have no
    parts."""
    found = compare(models / "base", models / "finetune")
    assert {part.part: part.state for part in found.parts} == {
        "input embedding": "follows", "attention": "shared", "FFN": "shared",
    }  # fmt: skip
    assert "By part" not in found.sentence()
    assert compare(models / "base", models / "twin").parts == ()


def test_the_sentence_counts_what_is_alike() -> None:
    def said(states: Mapping[str, State]) -> str:
        return sentence([SharedPart(part, state, -9.0, ()) for part, state in states.items()])

    assert said({"attention": "shared", "FFN": "shared"}) == ""
    assert said({"attention": "shared", "FFN": "no-evidence"}) == "By part: attention is shared; the FFN shows no relation."
    assert said({"attention": "no-evidence", "FFN": "no-evidence", "vision tower": "shared"}) == (
        "By part: the vision tower is shared; the language model shows no relation."
    )
    assert said({"vision tower": "identical"}) == "By part: the vision tower is identical."
    assert said({}) == ""


# --- a tower beside a language model


def test_a_tower_may_come_from_elsewhere(tmp_path: Path) -> None:
    """Truth by seeds: the tower is shared and the language model is not, the other way round, both, neither; and the tower
    alone is found inside the larger model."""
    one = written(tmp_path / "one", text=1, tower=1)
    alone = written(tmp_path / "alone", text=None, tower=1)
    for name, text, tower in (("tower", 2, 1), ("text", 1, 2), ("both", 1, 1), ("neither", 2, 2)):
        other = written(tmp_path / name, text, tower, noise=7)
        found = compare(one, other)
        said = {part.part: part.state for part in found.parts}
        assert found.verdict == ("no-evidence" if name == "neither" else "related")
        assert said.get("vision tower", "no-evidence") == ("shared" if tower == 1 else "no-evidence")
        assert said.get("FFN", "no-evidence") == ("shared" if text == 1 else "no-evidence")
        assert ("the language model shows no relation" in found.sentence()) == (name == "tower")
        found = compare(alone, other)
        assert found.verdict == ("related" if tower == 1 else "no-evidence")
        assert [part.part for part in found.parts] == (["vision tower"] if tower == 1 else [])
        assert not found.evidence
    assert found.to_json()["components"]["vision tower"]["evidence"]


def test_a_tower_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    """Its tensors still count for whether two models are the same."""
    folder = written(tmp_path / "torn", text=1, tower=1)
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: array for name, array in tensors.items() if ".vision_model.encoder.layers.1." not in name}
    save_file(tensors, folder / "model.safetensors")
    found = compare(written(tmp_path / "whole", text=1, tower=1), folder)
    assert found.components == {}
    assert found.verdict == "related"
    assert "vision tower" in found.sentence()


# --- one part alone


def test_one_part_alone(tmp_path: Path) -> None:
    """The tower is shared, the language model is not: each is judged by its own tests, whatever the other shows."""
    one, other = written(tmp_path / "one", text=1, tower=1), written(tmp_path / "other", text=2, tower=1, noise=7)
    whole = compare(one, other)
    tower, ffn = one_part(whole, "vision tower"), one_part(whole, "FFN")
    assert (whole.verdict, tower.verdict, ffn.verdict) == ("related", "related", "no-evidence")
    assert tower.log10_p == whole.parts[-1].log10_p
    assert {item.method for item in ffn.evidence} < {item.method for item in whole.evidence}
    assert "the vision tower is shared" in tower.sentence()
    assert "the FFN shows no relation" in ffn.sentence()
    assert one_part(whole, "experts").verdict == "untestable"
    assert "no test of it applies" in one_part(whole, "experts").sentence()
    assert (tower.to_json()["part"], whole.to_json()["part"]) == ("vision tower", None)


def test_a_part_that_only_follows_is_no_evidence(models: Path) -> None:
    """An embedding beside kin layers agrees in their channels; alone it proves nothing about itself."""
    found = one_part(compare(models / "base", models / "finetune"), "input embedding")
    assert found.verdict == "no-evidence"
    assert "trained beside what was" in found.sentence()
    assert "does not prove" in found.sentence()


def test_an_encoder_is_all_of_its_part(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one", text=None, tower=1), written(tmp_path / "other", text=None, tower=1, noise=7)
    found = compare(one, other)
    assert one_part(found, "vision tower") is found


def test_the_words_of_the_command_line_are_those_of_the_tables() -> None:
    assert set(COMPONENTS) == set(KINDS)
