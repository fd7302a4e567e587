"""Small models of which some share a random start alone and some share training: recipes for `benchmarks/starts.py`.

Of each family and seed: the start itself, trainings from it on the same text and on other text, up to 30 times as long, and
descendants of one of them that were trained on as long.
"""

from __future__ import annotations

from collections.abc import Iterator

from kinprint.zoo.lineage import Member
from kinprint.zoo.recipes import Fresh, Recipe, Train

RULE = (("llama", 1, 10), ("gpt2", 1, 3))
"""Family, seed, and the longest training: the lines on which the rule was set."""

REPORT = (("gpt2", 2, 3), ("qwen2", 2, 3), ("llama", 2, 30), ("gpt2", 3, 3), ("llama", 3, 3))
"""The lines on which its errors are counted. After the first three had been looked at, shared training was asked of both models
rather than of one; the last two came after that."""


def line(family: str, seed: int, longest: int) -> Iterator[Recipe]:
    """All models of one random start."""
    name, start = f"{family}-{seed}", f"{family} starts {seed}"
    yield Recipe(
        Member(f"{name}-start", family, "start", initialisation=start, seed=seed), (Fresh(family, start),), "Untrained."
    )

    def alone(what: str, step: Train) -> Recipe:
        member = Member(f"{name}-{what}", family, "base", initialisation=start, seed=seed)
        return Recipe(member, (Fresh(family, start), step), f"Trained from {name}-start ({step.text}, {step.length} times).")

    def after(what: str, step: Train) -> Recipe:
        member = Member(f"{name}-base-{what}", family, "continued", (f"{name}-base",), seed=seed)
        return Recipe(member, (step,), f"Trained on ({step.text}, {step.length} times).")

    yield alone("base", Train(order=11 * seed))
    yield alone("batches", Train(order=11 * seed, rate=1e-3))
    yield alone("order", Train(order=11 * seed + 1))
    yield alone("text", Train("prose", order=11 * seed + 2))
    yield alone("early", Train(length=0.3, order=11 * seed + 9))
    yield alone("early-too", Train(length=0.3, order=11 * seed + 10))
    yield alone("3", Train("code", 3.0, order=11 * seed + 3))
    yield after("short", Train("prose", 0.3, 5e-4, order=11 * seed + 4))
    yield after("1", Train("prose", 1.0, order=11 * seed + 5))
    yield after("3", Train("code", 3.0, order=11 * seed + 6))
    if longest > 3:
        yield alone(f"{longest}", Train("prose" if longest == 10 else "code", float(longest), order=11 * seed + 7))
        yield after(f"{longest}", Train("code" if longest == 10 else "prose", float(longest), order=11 * seed + 8))


def lines(which: tuple[tuple[str, int, int], ...]) -> tuple[Recipe, ...]:
    return tuple(recipe for each in which for recipe in line(*each))
