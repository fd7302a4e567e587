"""What do the tests see that no relabelling can forge: of strangers that are as alike as strangers get, and of descendants?

    python benchmarks/unforgeable.py FOLDER [--models 34] [--parents 4] [--json FILE]

Strangers are those of `long_strangers.py`, all pairs of them: the nulls of these tests are approximate. Descendants of
some of them, of every kind, are compared as they are, rotated, permuted, and after flips and every disguise, each with a seed
of its own: what is left to see in fingerprints. Models that are there are kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from long_strangers import KINDS, MODELS, build
from rich.console import Console
from rich.progress import track

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import examine
from kinprint.methods import Method, known
from kinprint.transforms import Model, read_model
from kinprint.transforms import known as transforms
from kinprint.zoo import Member, habits
from kinprint.zoo.members import finished, make
from kinprint.zoo.recipes import Recipe, Step, Train, Transform

TESTS = ("matched-heads", "matched-writes")
LEVELS = (0.05, 0.01, 1e-3, 1e-4)

Row = dict[str, Any]

KINDS_OF_DESCENT: dict[str, tuple[Step, ...]] = {
    "noise of a tenth": (Transform("noise", {"amount": 0.1, "seed": 1}),),
    "fine-tune": (Train("prose", 0.3, 5e-4, 2),),
    "low-rank": (Train("prose", 0.3, 5e-3, 6, lora=True),),
    "continued, as long": (Train("prose", 1.0, 2e-3, 4),),
    "two layers dropped": (Transform("prune", {"kind": "depth", "amount": 1 / 3}), Train(length=0.3, rate=1e-3, order=5)),
    "neurons pruned": (Transform("prune", {"kind": "width", "amount": 0.25}), Train(length=0.3, rate=1e-3, order=5)),
    "rounded to 4 bits": (Transform("quantize", {"scheme": "int4"}),),
    "neurons replaced": (),
    "neurons replaced, distilled": (),
}
"""How a descendant is made; where nothing is said, every FFN begins anew and learns beside frozen heads."""


def disguised(model: Model, seed: int) -> Model:
    """Signs turned, then every disguise."""
    for name in ("flip", "disguise"):
        model = transforms()[name](model, seed=seed)
    return model


DRESSES: dict[str, Callable[[Model, int], Model]] = {
    "as it is": lambda model, _: model,
    "rotated": lambda model, seed: transforms()["rotate"](model, seed=seed),
    "permuted": lambda model, seed: transforms()["permute"](model, seed=seed),
    "flipped, disguised": disguised,
}


@dataclass(frozen=True)
class Descendant:
    """A model made from one of the strangers."""

    parent: Path
    how: str
    folder: Path


def descendants(folder: Path, parents: list[Path]) -> Iterator[Descendant]:
    """Made where they are not there yet."""
    sizes = {kind.name: kind for kind in KINDS}
    for parent, (how, steps) in itertools.product(parents, KINDS_OF_DESCENT.items()):
        kind = sizes[parent.name.rpartition("-")[0]]
        name = f"{parent.name}-{how.replace(' ', '-').replace(',', '')}"
        member = Member(name, kind.family, how, (parent.name,))
        recipe = Recipe(member, steps, f"From `{parent.name}`: {how}.")
        mark = str(crc32(repr((recipe, kind)).encode()))
        if not finished(folder / name, mark):
            print(name, file=sys.stderr, flush=True)
            if steps:
                make(recipe, folder, kind.name, "cpu", mark)
            else:
                replace_neurons(parent, folder / name, kind.name, mark, distilled="distilled" in how)
        yield Descendant(parent, how, folder / name)


def replace_neurons(parent: Path, target: Path, size: str, mark: str, *, distilled: bool) -> None:
    """Every FFN begins anew; it learns the text, or the parent's logits, while everything else stays."""
    import torch
    from transformers import AutoModelForCausalLM

    from kinprint.zoo.families import SHAPES
    from kinprint.zoo.members import MARK
    from kinprint.zoo.text import tokens
    from kinprint.zoo.training import train

    causal: Any = AutoModelForCausalLM
    torch.set_num_threads(1)
    torch.manual_seed(crc32(target.name.encode()))
    model = causal.from_pretrained(parent, dtype=torch.float32, local_files_only=True)
    teacher = causal.from_pretrained(parent, dtype=torch.float32, local_files_only=True).eval() if distilled else None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".mlp." in name)
        if ".mlp." in name:
            torch.nn.init.normal_(parameter, std=0.02)
    ids = tokens("code", size, parent / "tokenizer.json", parent.parent / "tokens")
    model = train(model, ids, Train("code", 0.3, 2e-3, 3), SHAPES[size], teacher=teacher)
    model.to(torch.bfloat16).save_pretrained(target)
    for extra in ("tokenizer.json", "tokenizer_config.json"):
        (target / extra).write_bytes((parent / extra).read_bytes())
    (target / MARK).write_text(json.dumps({"digest": mark}))


def tests() -> list[Method]:
    return [method for method in known() if method.kind == "test" and not method.deep]


def reading(one: Fingerprint, other: Fingerprint) -> Row:
    """The verdict, what it rests on, and log10 p and z of every test."""
    found = examine((one, other), methods=tests())
    seen = {item.method: {"log10_p": item.log10_p, "z": item.statistic} for item in found.tests if item.applies}
    return {
        "verdict": found.verdict,
        "forgeable": found.forgeable,
        "log10_p": found.log10_p,
        "unforgeable": found.unforgeable,
        "sentence": found.sentence(),
        "tests": seen,
        "set_aside": [item.method for item in found.tests if item.set_aside],
    }


def strangers_table(rows: list[Row]) -> Iterator[str]:
    yield (
        "| test | pairs of strangers | mean z | standard deviation | largest z | smallest log10 p | "
        + " | ".join(f"p ≤ {level:g}" for level in LEVELS)
        + " |"
    )
    yield "|---" * (6 + len(LEVELS)) + "|"
    for name in TESTS:
        z = np.array([row["tests"][name]["z"] for row in rows if name in row["tests"]])
        p = np.array([row["tests"][name]["log10_p"] for row in rows if name in row["tests"]])
        shares = " | ".join(f"{int((p <= np.log10(level)).sum())}" for level in LEVELS)
        yield f"| `{name}` | {len(z)} | {z.mean():.2f} | {z.std():.2f} | {z.max():.1f} | {p.min():.1f} | {shares} |"
    accused = sum(row["verdict"] == "related" for row in rows)
    least = min(row["log10_p"] for row in rows)
    yield f"\n{accused} of {len(rows)} accused by all tests together, smallest log10 p {least:.1f}"


def descendants_table(rows: list[Row]) -> Iterator[str]:
    yield "| descendant | dress | related | no relabelling can make it | median log10 p | " + " | ".join(TESTS) + " |"
    yield "|---" * (5 + len(TESTS)) + "|"
    for (how, dress), group in itertools.groupby(
        sorted(rows, key=lambda row: (list(KINDS_OF_DESCENT).index(row["how"]), list(DRESSES).index(row["dress"]))),
        key=lambda row: (row["how"], row["dress"]),
    ):
        found = list(group)
        related = sum(row["verdict"] == "related" for row in found)
        sure = sum(row["forgeable"] is False for row in found)
        each = []
        for name in TESTS:
            p = [row["tests"][name]["log10_p"] for row in found if name in row["tests"]]
            each.append(f"{np.median(p):.1f}" if p else "–")
        median = np.median([row["log10_p"] for row in found])
        yield f"| {how} | {dress} | {related} of {len(found)} | {sure} | {median:.1f} | {' | '.join(each)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the models are kept")
    parser.add_argument("--models", type=int, default=MODELS, help="strangers")
    parser.add_argument("--parents", type=int, default=4, help="strangers that have descendants")
    parser.add_argument("--json", type=Path, help="where every pair is written")
    arguments = parser.parse_args()
    folders = build(arguments.folder, arguments.models)
    models = {folder.name: fingerprint(folder) for folder in folders}
    console = Console(stderr=True)
    pairs = list(itertools.combinations(models, 2))
    strangers = [
        {"pair": [a, b], **reading(models[a], models[b])} for a, b in track(pairs, description="strangers", console=console)
    ]
    print("\n".join(strangers_table(strangers)))
    found: list[Row] = []
    made = list(descendants(arguments.folder, folders[: arguments.parents]))
    for child in track(made, description="descendants", console=console):
        model = read_model(child.folder)
        for dress, wear in DRESSES.items():
            seed = crc32(f"{child.folder.name} {dress}".encode())
            shown = habits.measured(wear(model, seed), f"{child.folder.name}, {dress}")
            row = reading(models[child.parent.name], shown)
            found.append({"parent": child.parent.name, "how": child.how, "dress": dress, **row})
    print()
    print("\n".join(descendants_table(found)))
    if arguments.json:
        arguments.json.write_text(json.dumps({"strangers": strangers, "descendants": found}))


if __name__ == "__main__":
    main()
