"""The recipes are well-formed, and cover what the methods have to be measured on."""

from __future__ import annotations

import pytest

from kinprint import transforms
from kinprint.zoo import Lineage, habits
from kinprint.zoo.members import TOKENIZERS, digests
from kinprint.zoo.recipes import SIZES, Fresh, Habit, Train, Transform, habitual, recipes


@pytest.mark.parametrize("size", SIZES)
def test_parents_come_first_and_names_once(size: str) -> None:
    """A build can go through the list from top to bottom."""
    seen: set[str] = set()
    for recipe in habitual(size):
        assert set(recipe.needs) <= seen, recipe.member.name
        assert recipe.member.name not in seen
        seen.add(recipe.member.name)


@pytest.mark.parametrize("recipe", habitual("small"), ids=lambda recipe: recipe.member.name)
def test_steps_can_be_done(recipe) -> None:  # type: ignore[no-untyped-def]
    """Transforms exist and take these options; who has no parents starts fresh, who has some does not."""
    assert isinstance(recipe.steps[0], Fresh) == (not recipe.member.parents)
    assert bool(recipe.member.initialisation) == (not recipe.member.parents)
    for step in recipe.steps:
        if isinstance(step, Transform):
            known = transforms.known()[step.name]
            assert {*step.options, *step.members} <= set(known.make.__annotations__)
            draws = known.draws and step.options.get("method") not in ("linear", "slerp", "ties", "task-arithmetic")
            assert not draws or "seed" in step.options  # else no two zoos would be alike
            assert step.tokenizer is None or step.tokenizer in TOKENIZERS
    disguises = [
        step for step in recipe.steps if isinstance(step, Transform) and transforms.known()[step.name].kind == "disguise"
    ]
    given = [habits.known()[step.name] for step in recipe.steps if isinstance(step, Habit)]
    assert recipe.member.habit == "".join(habit.name for habit in given)
    assert all(recipe.member.family in habit.families for habit in given)
    assert recipe.member.disguise == bool(disguises or any(habit.keeps for habit in given))
    teachers = [step.teacher for step in recipe.steps if isinstance(step, Train) and step.teacher]
    assert teachers == ([recipe.member.teacher] if recipe.member.teacher else [])


def test_equal_starts_are_declared() -> None:
    """Two members begin from the same random weights only where their lineage says so."""
    starts = [
        (step.start, recipe.member.initialisation)
        for recipe in recipes("small")
        for step in recipe.steps
        if isinstance(step, Fresh)
    ]
    assert all(start == declared for start, declared in starts)


@pytest.mark.parametrize(("size", "unrelated"), [("tiny", 100), ("small", 400)])
def test_every_kind_of_pair_is_there(size: str, unrelated: int) -> None:
    """Descendants of every kind, disguised ones, and every hard negative."""
    lineage = Lineage(size, {recipe.member.name: recipe.member for recipe in recipes(size)})
    pairs = list(lineage.pairs())
    kinds = {pair.kind for pair in pairs if pair.truth == "related" and not pair.disguised}
    expected = {
        "fine-tune",
        "continued",
        "lora",
        "merged",
        "upscaled",
        "upcycled",
        "swapped-vocabulary",
        "quantised",
        "relatives",
    }
    assert expected | {"pruned-depth", "pruned-width", "pruned-magnitude", "fine-tune + fine-tune"} <= kinds
    assert {"distilled", "same family", "other family"} == {pair.kind for pair in pairs if pair.truth == "unrelated"}
    assert any(pair.truth == "shared-initialisation" for pair in pairs)
    assert sum(pair.truth == "related" and pair.disguised for pair in pairs) >= 20
    assert sum(pair.truth == "unrelated" for pair in pairs) >= unrelated


def test_habits_disturb_nothing() -> None:
    """A zoo with habits has the members of the zoo without, by the same digests, and pairs that share a habit."""
    with_habits, without = habitual("small"), recipes("small")
    assert with_habits[: len(without)] == without
    assert without == tuple(recipe for recipe in with_habits if recipe.member.name in digests(without, "small"))
    every = digests(with_habits, "small")
    assert {name: every[name] for name in digests(without, "small")} == digests(without, "small")
    pairs = Lineage("small", {recipe.member.name: recipe.member for recipe in with_habits}).pairs()
    assert sum(pair.kind == "same habit" for pair in pairs) >= 60


def test_a_digest_depends_on_the_parents() -> None:
    """Whatever changes a member changes what descends from it, and nothing else."""
    from dataclasses import replace

    before = digests(recipes("tiny"), "tiny")
    changed = tuple(
        replace(r, steps=(*r.steps, Train(length=0.5))) if r.member.name == "llama-finetune" else r for r in recipes("tiny")
    )
    after = digests(changed, "tiny")
    different = {name for name in before if before[name] != after[name]}
    assert different == {
        "llama-finetune",
        "llama-grandchild",
        "llama-merged-ties",
        "llama-finetune-disguise",
        "llama-finetune-permute",
    }
    assert set(digests(recipes("tiny"), "small").values()).isdisjoint(before.values())
