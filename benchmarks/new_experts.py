"""Where does each expert come from? Mixtures of which some experts begin anew beside the others, and what is said of them.

    python benchmarks/new_experts.py FOLDER [--parents 2] [--siblings 10] [--json FILE]

In every layer of a sibling half of the experts begin anew, others than in the next sibling; then everything learns on. All else
is the parent's. Models that are there are kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from made_once import seed_of
from rich.console import Console
from rich.progress import track
from scipy.stats import kstest

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import Comparison, examine
from kinprint.methods import tests
from kinprint.zoo.families import EXPERTS, SHAPES, configuration
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import make_tokenizer, tokens

SHAPE = replace(SHAPES["tiny"], layers=4)
NEURONS = 96
"""Of an expert: enough for a p-value of its own."""

LENGTH = 0.3
"""Of the training of a sibling, in trainings of a parent, at half its rate: as fine-tunes of the zoo."""


def build(folder: Path, parents: int, siblings: int) -> dict[str, tuple[str, list[list[int]]]]:
    """Sibling -> its parent and, of each layer, the experts that began anew; made where it is not there yet."""
    if not (folder / "tokenizer").exists():
        make_tokenizer("code", "tiny", SHAPE.vocabulary, folder / "tokenizer")
    made: dict[str, tuple[str, list[list[int]]]] = {}
    for parent in (f"mixture-{number}" for number in range(parents)):
        _model(folder, parent, None, [])
        for sibling in range(siblings):
            name = f"{parent}-new-{sibling}"
            rng = np.random.default_rng(seed_of(name))
            new = [sorted(rng.choice(EXPERTS, EXPERTS // 2, replace=False).tolist()) for _ in range(SHAPE.layers)]
            _model(folder, name, parent, new)
            made[name] = parent, new
    return made


def _model(folder: Path, name: str, parent: str | None, new: list[list[int]]) -> None:
    """Train a model, from nothing or from its parent with new experts; its folder appears when it is whole."""
    if (folder / name).exists():
        return
    import torch
    from transformers import AutoModelForCausalLM

    from kinprint.zoo.training import train

    torch.set_num_threads(1)
    torch.manual_seed(seed_of(name))
    print(name, file=sys.stderr, flush=True)
    causal: Any = AutoModelForCausalLM
    config = configuration("mixtral", SHAPE)
    config.intermediate_size = NEURONS
    model = causal.from_config(config)
    if parent is not None:
        fresh = {key: value.clone() for key, value in model.state_dict().items()}
        model = causal.from_pretrained(folder / parent, dtype=torch.float32, local_files_only=True)
        for key, value in model.state_dict().items():
            if ".experts." in key:  # one tensor holds all experts of a layer
                chosen = new[int(key.split(".layers.")[1].split(".")[0])]
                value[chosen] = fresh[key][chosen]
    ids = tokens("code", "tiny", folder / "tokenizer" / "tokenizer.json", folder / "tokens")
    step = Train("code", *((LENGTH, 1e-3) if parent else (1.0, 2e-3)), seed_of(name) % 1000)
    train(model, ids, step, SHAPE)
    partial = folder / f"{name}.part"
    model.to(torch.bfloat16).save_pretrained(partial)
    partial.rename(folder / name)


Claim = dict[str, Any]


def claims(name: str, parent: str, new: list[list[int]], found: Comparison) -> Iterator[Claim]:
    """What is said of every expert, beside the truth."""
    said = {(item.layer, item.expert): item for item in found.experts}
    for layer, expert in itertools.product(range(SHAPE.layers), range(EXPERTS)):
        item = said.get((layer, expert))
        yield {
            "pair": [parent, name],
            "layer": layer,
            "expert": expert,
            "new": expert in new[layer],
            "state": item.state if item else "no-evidence",
            "right": item is not None and item.source == (layer, expert),
            "log10_p": item.log10_p if item else None,
        }


def raw(name: str, new: list[list[int]], models: tuple[Fingerprint, Fingerprint]) -> list[float]:
    """P-values of new experts, each asked about one layer of the reference, drawn by the names alone."""
    rng = np.random.default_rng(seed_of(f"{name} layers"))
    method = next(method for method in tests() if method.single_experts)
    asked = method.single_experts(*models)
    return [
        10 ** asked.test(int(rng.integers(SHAPE.layers)), layer, expert).log10_p
        for layer, each in enumerate(new)
        for expert in each
    ]


def table(rows: list[Claim], p_values: list[float]) -> str:
    lines = ["| truth | experts | that expert | another expert | new | no evidence |", "|---|---|---|---|---|---|"]
    for truth in (False, True):
        asked = [row for row in rows if row["new"] == truth]
        shared = [row for row in asked if row["state"] == "shared"]
        right = sum(row["right"] for row in shared)
        rest = [sum(row["state"] == state for row in asked) for state in ("new", "no-evidence")]
        counts = [len(asked), right, len(shared) - right, *rest]
        who = "began anew" if truth else "the parent's"
        lines.append(f"| {who} | {' | '.join(map(str, counts))} |")
    p = np.minimum(p_values, 1.0)
    ks = kstest(p, "uniform", alternative="greater").pvalue
    return "\n".join(lines) + (
        f"\n\n{len(p)} experts that began anew, one layer of the parent each: KS p {ks:.2f}, smallest p {p.min():.1g}, "
        f"p <= 0.05 in {np.mean(p <= 0.05):.1%}, p <= 0.01 in {np.mean(p <= 0.01):.1%}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parents", type=int, default=2)
    parser.add_argument("--siblings", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    made = build(arguments.folder, arguments.parents, arguments.siblings)
    rows: list[Claim] = []
    p_values: list[float] = []
    for name, (parent, new) in track(made.items(), "pairs", console=Console(stderr=True)):
        models = (fingerprint(arguments.folder / parent), fingerprint(arguments.folder / name))
        rows += claims(name, parent, new, examine(models))
        p_values += raw(name, new, models)
    print(f"{len(made)} mixtures.\n\n{table(rows, p_values)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
