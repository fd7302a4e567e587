"""A zoo like `kinprint zoo build` makes, from other seeds: what rules are set on, so that the zoo itself can judge them.

    python benchmarks/other_seeds.py FOLDER [--seed 1]

Two lines of the small zoo, llama's and gpt2's, at the tiny size: other initial weights, other batches, other noise.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from kinprint.zoo.build import build
from kinprint.zoo.recipes import Fresh, Recipe, Step, Train, Transform, recipes


def other_seeds(seed: int) -> tuple[Recipe, ...]:
    """The recipes of the two bases and all their descendants, with every random number drawn anew."""
    lines = {"llama-base", "gpt2-base"}
    for recipe in recipes("small"):
        if set(recipe.member.parents) & lines:
            lines.add(recipe.member.name)
    wanted = (recipe for recipe in recipes("small") if recipe.member.name in lines)
    return tuple(replace(recipe, steps=tuple(_other(step, seed) for step in recipe.steps)) for recipe in wanted)


def _other(step: Step, seed: int) -> Step:
    if isinstance(step, Fresh):
        return replace(step, start=f"{step.start} again {seed}")
    if isinstance(step, Train):
        return replace(step, order=step.order + 1000 * seed)
    if isinstance(step, Transform) and "seed" in step.options:
        return replace(step, options={**step.options, "seed": step.options["seed"] + 1000 * seed})
    return step


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    build(options.folder, "tiny", only=other_seeds(options.seed), jobs=1)
