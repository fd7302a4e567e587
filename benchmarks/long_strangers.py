"""Strangers that are as alike as strangers get: one text, one tokenizer, one order of batches, ten times the zoo's training.

    python benchmarks/long_strangers.py FOLDER [--models 34]

Independently trained models have features in common (Gurnee et al., Universal Neurons in GPT2 Language Models, arXiv
2401.12181), the more so the longer they train on the same text. Models differ in their seed, and between kinds in their shape.
`unforgeable.py` compares them. Models that are there are kept; progress is told on stderr.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinprint.zoo import Member
from kinprint.zoo.families import SHAPES, Shape
from kinprint.zoo.members import digests, finished, make, prepare
from kinprint.zoo.recipes import Fresh, Recipe, Train
from kinprint.zoo.text import CHARACTERS


@dataclass(frozen=True)
class Kind:
    """Models that differ in their seed alone.

    Attributes:
        name: also that of the shape.
        count: how many there are of MODELS.
    """

    name: str
    family: str
    shape: Shape
    count: int


KINDS = (
    Kind("long-64", "llama", Shape(64, 4, 8, 8, 192, 384, 1200, 8, 64), 8),
    Kind("long-96", "llama", Shape(96, 6, 8, 8, 192, 384, 1200, 8, 64), 14),
    Kind("long-96-grouped", "llama", Shape(96, 6, 8, 4, 192, 384, 1200, 8, 64), 6),
    Kind("long-128", "qwen3", Shape(128, 6, 8, 8, 256, 384, 1200, 8, 64), 6),
)
MODELS = sum(kind.count for kind in KINDS)


def strangers(models: int = MODELS) -> list[tuple[Recipe, Kind]]:
    """Models from scratch, each from a seed of its own; kinds take turns."""
    turns = []
    for kind in KINDS:
        count = max(round(kind.count * models / MODELS), 1)
        for number in range(count):
            name = f"{kind.name}-{number}"
            member = Member(name, kind.family, "base", initialisation=name)
            recipe = Recipe(member, (Fresh(kind.family, name), Train()), "Trained from scratch, for long.")
            turns.append((number / count, name, recipe, kind))
    return [(recipe, kind) for *_, recipe, kind in sorted(turns, key=lambda turn: turn[:2])]


def build(folder: Path, models: int = MODELS) -> list[Path]:
    """The folders of the strangers; what is not there yet is trained, one after the other."""
    from transformers import logging

    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    for kind in KINDS:
        SHAPES[kind.name] = kind.shape
        CHARACTERS[kind.name] = CHARACTERS["small"]
    wanted = strangers(models)
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, KINDS[0].name)
    for done, (recipe, kind) in enumerate(wanted, 1):
        name = recipe.member.name
        mark = digests((recipe,), kind.name)[name]

        def tell(step: int, steps: int, loss: float, start: str = f"{done} of {len(wanted)}: {name}") -> None:
            if step % 400 == 0 or step == steps:
                print(f"{start}, step {step} of {steps}, loss {loss:.2f}", file=sys.stderr, flush=True)

        if not finished(folder / name, mark):
            make(recipe, folder, kind.name, "cpu", mark, tell)
    return [folder / recipe.member.name for recipe, _ in wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the models are kept")
    parser.add_argument("--models", type=int, default=MODELS, help="how many of all kinds together")
    arguments = parser.parse_args()
    build(arguments.folder, arguments.models)


if __name__ == "__main__":
    main()
