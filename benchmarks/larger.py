"""A zoo of larger models, trained and compared in one call: on a processor in hours, on a GPU in minutes.

    python benchmarks/larger.py FOLDER --size 10m [--markdown docs/larger.md]
    python benchmarks/larger.py FOLDER --size 30m --device cuda --minutes 8

Two seeds of Llama and of GPT-2, one of GPT-NeoX, all on the same text in the same order; descendants of the first Llama and
the first GPT-2; the hardest of these disguised. Every pair is compared, from fingerprints and with both checkpoints. Models
that are there are kept, so that a second call goes on. With `--minutes` no further model is begun after that time, and what is
there is compared. `answers.jsonl` and `fingerprints/` in FOLDER are what is worth keeping: the rest can be made again.

The table counts pairs by kind: found at p <= 1e-6 by all tests on fingerprints, and by the one that needs both checkpoints,
`matched-neurons`; and the weakest p-value of each. Pairs that neither finds are named.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tables import marked, p

from kinprint import benchmark, fingerprint
from kinprint.architectures import open_model
from kinprint.comparison import examine
from kinprint.methods import tests
from kinprint.zoo import Member
from kinprint.zoo.families import SHAPES, Shape
from kinprint.zoo.lineage import Lineage
from kinprint.zoo.members import digests, finished, make, prepare
from kinprint.zoo.recipes import DISGUISE, RETRAINED, Fresh, Recipe, Step, Train, Transform
from kinprint.zoo.text import CHARACTERS

SIZES = {
    "10m": Shape(320, 8, 8, 4, 896, 4096, 200, 8, 128),
    "30m": Shape(512, 8, 8, 4, 1408, 8192, 1000, 32, 256),
    "50m": Shape(640, 10, 10, 5, 1728, 8192, 1000, 32, 256),
}
MARK = "<!-- figures of benchmarks/larger.py -->\n"
SEEDS = (("llama", 0), ("gpt2", 0), ("llama", 1), ("gpt2", 1), ("gpt_neox", 0))
DISGUISED = ("finetune", "long", "pruned-width", "pruned-depth")


def members() -> Iterator[Recipe]:
    """The models, parents before children, the most telling first: time may end before all are made."""
    for family, seed in SEEDS:
        name = f"{family}-{seed}"
        text = "Trained from scratch, on the text and in the order of the others."
        yield Recipe(
            Member(name, family, "base", initialisation=name, seed=seed), (Fresh(family, name), Train(rate=1e-3)), text
        )
    for family in ("llama", "gpt2"):
        again = Train(length=RETRAINED, rate=5e-4, order=5)
        children: dict[str, tuple[str, tuple[Step, ...]]] = {
            "finetune": ("fine-tune", (Train("prose", RETRAINED, 3e-4, 2),)),
            "long": ("continued", (Train("prose", 1.0, 1e-3, 4),)),
            "pruned-width": ("pruned-width", (Transform("prune", {"kind": "width", "amount": 0.25}), again)),
            "pruned-depth": ("pruned-depth", (Transform("prune", {"kind": "depth", "amount": 0.25}), again)),
            "int4": ("quantised", (Transform("quantize", {"scheme": "int4"}),)),
        }
        for short, (kind, steps) in children.items():
            name = f"{family}-0-{short}"
            yield Recipe(Member(name, family, kind, (f"{family}-0",)), steps, "A descendant.")
            if short in DISGUISED:
                seed = zlib.crc32(name.encode())
                hidden = Member(f"{name}-disguise", family, "disguise", (name,), disguise=True, seed=seed)
                yield Recipe(hidden, (Transform("disguise", {"seed": seed, "steps": DISGUISE}),), "The same in another form.")


def build(folder: Path, size: str, device: str, deadline: float) -> int:
    """Make what is not there until the deadline (a value of `time.monotonic`); returns how many models there are."""
    SHAPES[size] = SIZES[size]
    CHARACTERS[size] = CHARACTERS["medium"]
    wanted = tuple(members())
    marks = digests(wanted, size)
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, size)
    for recipe in wanted:
        name = recipe.member.name
        ready = all(finished(folder / parent, marks[parent]) for parent in recipe.needs)
        if finished(folder / name, marks[name]) or not ready or time.monotonic() > deadline:
            continue
        begun = time.monotonic()
        make(recipe, folder, size, device, marks[name], partial(_tell, name))
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    there = {
        recipe.member.name: recipe.member
        for recipe in wanted
        if finished(folder / recipe.member.name, marks[recipe.member.name])
    }
    Lineage(size, there).write(folder)
    return len(there)


def _tell(name: str, step: int, steps: int, loss: float) -> None:
    if step % 100 == 0 or step == steps:
        print(f"{name}, step {step} of {steps}, loss {loss:.2f}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Answer:
    """What the tests say of a pair: log10 p of those on fingerprints, and of those that need both checkpoints."""

    pair: benchmark.Pair
    fingerprints: float | None
    deep: float | None


def compared(folder: Path, pairs: benchmark.Pairs) -> list[Answer]:
    """Every pair by the tests alone, which decide. Fingerprints and answers are kept, so that a second call goes on."""
    place, kept = folder / "fingerprints", folder / "answers.jsonl"
    place.mkdir(exist_ok=True)
    prints = {}
    for name, model in pairs.models.items():
        prints[name] = fingerprint(model)
        prints[name].save(place / f"{name}.kinprint")
    known = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    said = {(row["models"][0], row["models"][1], *row["digests"]): row for row in known}
    answers, weights = [], {}
    for pair in pairs.pairs:
        names = (pair.reference, pair.suspect)
        digests = [prints[name].digest for name in names]
        row = said.get((*names, *digests))
        if row is None:
            for name in names:
                weights.setdefault(name, open_model(pairs.models[name]).weights)
            both = (prints[names[0]], prints[names[1]])
            shallow = examine(both, methods=tests())
            deep = examine(both, (weights[names[0]], weights[names[1]]), methods=tests(deep=True))
            row = {"models": names, "digests": digests, "fingerprints": shallow.log10_p, "deep": deep.log10_p}
            with kept.open("a") as file:
                file.write(json.dumps(row) + "\n")
        answers.append(Answer(pair, row["fingerprints"], row["deep"]))
    return answers


def table(answers: Sequence[Answer]) -> str:
    """Pairs by truth, kind and disguise: how many, how many found, the weakest p-value (of strangers the strongest)."""
    rows = ["| pairs | | fingerprints | weakest p | `matched-neurons` | weakest p |", "|---|---|---|---|---|---|"]
    groups: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        pair = answer.pair
        kind = f"{pair.kind}{', disguised' if pair.disguised and 'disguise' not in pair.kind else ''}"
        groups.setdefault((pair.truth, kind if pair.truth == "related" else "strangers"), []).append(answer)
    for (truth, kind), group in sorted(groups.items()):
        cells = []
        for values in ([answer.fingerprints for answer in group], [answer.deep for answer in group]):
            there = [value for value in values if value is not None]
            extreme = (max if truth == "related" else min)(there, default=None)
            cells += [f"{sum(value <= -6 for value in there)}", p(extreme)]
        rows.append(f"| {kind} | {len(group)} | {' | '.join(cells)} |")
    missed = [
        each.pair for each in answers if each.pair.truth == "related" and min(each.fingerprints or 0, each.deep or 0) > -6
    ]
    return "\n".join(rows + [f"\nFound by neither: {pair.reference} and {pair.suspect}." for pair in missed])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the models are kept")
    parser.add_argument("--size", choices=SIZES, default="10m")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further model after so long")
    parser.add_argument("--markdown", type=Path, help="a page to write the table into, between its marks")
    arguments = parser.parse_args()
    _quiet(arguments.device)
    count = build(arguments.folder, arguments.size, arguments.device, time.monotonic() + 60 * arguments.minutes)
    answers = compared(arguments.folder, benchmark.from_zoo(arguments.folder))
    shape = SIZES[arguments.size]
    said = f"{count} models of width {shape.hidden} and {shape.layers} layers ({arguments.size}), {shape.steps} steps of "
    said += f"{shape.batch * shape.length:,} tokens".replace(",", " ") + f"; {len(answers)} pairs.\n\n{table(answers)}"
    print(said)
    if arguments.markdown is not None:
        marked(arguments.markdown, MARK, said)


def _quiet(device: str) -> None:
    import torch
    from transformers import logging

    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    if device == "cuda":
        torch.set_float32_matmul_precision("high")


if __name__ == "__main__":
    main()
