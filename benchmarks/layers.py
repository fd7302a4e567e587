"""Where does each layer come from? Models of known truth: layers inserted, copied, averaged, dropped, and what is said of them.

    python benchmarks/layers.py FOLDER [--siblings 7] [--json FILE]

From each of four parents (three families), siblings get twelve layers that begin anew between those of the parent, learn beside
the frozen rest, and then learn on with it: the hard case, for all else is shared. Others get layers that write nothing
(untrained, and trained on), copies of layers, averages of neighbours, or lose layers; each as it is made and trained on. Models
that are there are kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from made_once import once, seed_of
from rich.console import Console
from rich.progress import track
from scipy.stats import kstest

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import Comparison, examine
from kinprint.errors import NotApplicable
from kinprint.methods import tests
from kinprint.zoo.families import SHAPES, configuration
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import make_tokenizer, tokens

SIZE, DEPTH = "tiny", 6
PARENTS = ("llama", "llama", "qwen3", "gpt2")
PREFIX = {"gpt2": "transformer.h."}
WRITERS = (".o_proj.", ".down_proj.", ".c_proj.")
"""What a layer writes with, in the names of tensors of all these families."""

ALONE, REST = 0.5, 0.3
"""Length of the training of new layers alone, and of a whole model after that or after it was put together, in trainings of a
base."""


@dataclass(frozen=True)
class Layer:
    """One layer of a model that is to be made.

    Attributes:
        sources: layers of the parent, averaged; none where it begins anew.
        silent: whether what it writes begins with zeros.
    """

    sources: tuple[int, ...] = ()
    silent: bool = False


@dataclass(frozen=True)
class Made:
    """A model, and the truth of each of its layers: "0", "new", "nothing", "2 and 3"."""

    name: str
    kind: str
    parent: str
    truth: tuple[str, ...]


def kept(*layers: int) -> list[Layer]:
    return [Layer((layer,)) for layer in layers]


def between(inserted: Mapping[int, Layer]) -> list[Layer]:
    """All layers of the parent, and behind some of them another."""
    return [each for layer in range(DEPTH) for each in (Layer((layer,)), inserted.get(layer)) if each is not None]


Plan = list[Layer]
PLANS: Mapping[str, Sequence[Plan]] = {
    "nothing written, else a copy": [
        between({i: Layer((i,), silent=True) for i in places}) for places in ((1, 3, 5), (0, 2, 4))
    ],
    "nothing written, else random": [between({i: Layer(silent=True) for i in places}) for places in ((1, 3, 5), (0, 2, 4))],
    "copies": [kept(0, 1, 2, 3, 2, 3, 4, 5), kept(0, 0, 1, 2, 3, 3, 4, 5)],
    "averages beside": [between({i: Layer((i, i + 1)) for i in places}) for places in ((1, 3), (0, 2, 4))],
    "averages instead": [
        [Layer((0, 1)), Layer((2, 3)), Layer((4, 5))],
        [Layer((0,)), Layer((1, 2)), Layer((3, 4)), Layer((5,))],
    ],
    "dropped": [kept(0, 2, 3, 5), kept(0, 1, 4)],
}
"""Kind of model -> layers of its variants."""


def build(folder: Path, siblings: int) -> list[Made]:
    """Everything, made where it is not there yet."""
    if not (folder / "tokenizer").exists():
        make_tokenizer("code", SIZE, SHAPES[SIZE].vocabulary, folder / "tokenizer")
    made: list[Made] = []
    for number, family in enumerate(PARENTS):
        parent = f"parent-{number}"
        once(folder / parent, lambda family=family, parent=parent: _trained(folder, _fresh(family, DEPTH, parent), 1.0, parent))
        made.append(Made(parent, "parent", parent, tuple(map(str, range(DEPTH)))))
        for (kind, plans), trained in itertools.product(PLANS.items(), (False, True)):
            for variant, plan in enumerate(plans):
                own = f"{parent}-{kind.replace(',', '').replace(' ', '-')}-{variant}{'-trained' if trained else ''}"
                once(folder / own, lambda plan=plan, own=own, parent=parent, family=family, trained=trained: _put_together(
                    folder, parent, family, plan, own, trained=trained))  # fmt: skip
                made.append(Made(own, f"{kind}{', trained on' if trained else ''}", parent, truth(plan, trained=trained)))
    plan = [each for layer in range(DEPTH) for each in (Layer((layer,)), Layer(), Layer())]
    for sibling, (number, family) in itertools.product(range(siblings), enumerate(PARENTS)):
        parent, own = f"parent-{number}", f"parent-{number}-new-{sibling}"
        once(folder / own, lambda own=own, parent=parent, family=family: _anew(folder, parent, family, plan, own))
        made.append(Made(own, "new layers", parent, truth(plan, trained=True)))
    return made


def truth(plan: Plan, *, trained: bool) -> tuple[str, ...]:
    return tuple(
        "nothing" if layer.silent and not trained else " and ".join(map(str, layer.sources)) or "new" for layer in plan
    )


def _fresh(family: str, depth: int, name: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed_of(name))
    causal: Any = AutoModelForCausalLM
    return causal.from_config(configuration(family, replace(SHAPES[SIZE], layers=depth)))


def _trained(folder: Path, model: Any, length: float, name: str) -> Any:
    from kinprint.zoo.training import train

    ids = tokens("code", SIZE, folder / "tokenizer" / "tokenizer.json", folder / "tokens")
    return train(model, ids, Train("code", length, 1e-3 if length == REST else 2e-3, seed_of(name) % 1000), SHAPES[SIZE])


def _assembled(folder: Path, parent: str, family: str, plan: Plan, name: str) -> Any:
    """The model that a plan says, made of its parent's layers and of fresh ones."""
    import torch
    from transformers import AutoModelForCausalLM

    causal: Any = AutoModelForCausalLM
    donor = causal.from_pretrained(folder / parent, dtype=torch.float32, local_files_only=True).state_dict()
    model, prefix = _fresh(family, len(plan), name), PREFIX.get(family, "model.layers.")
    own = model.state_dict()
    for key, value in own.items():
        if not key.startswith(prefix):
            value.copy_(donor[key])
            continue
        number, rest = key.removeprefix(prefix).split(".", 1)
        layer = plan[int(number)]
        if layer.sources:
            value.copy_(torch.stack([donor[f"{prefix}{source}.{rest}"] for source in layer.sources]).mean(0))
        if layer.silent and any(writer in f".{rest}" for writer in WRITERS):
            value.zero_()
    model.load_state_dict(own)
    return model


def _anew(folder: Path, parent: str, family: str, plan: Plan, name: str) -> Any:
    """Layers that begin anew and learn beside the rest, then everything learns."""
    model, prefix = _assembled(folder, parent, family, plan, name), PREFIX.get(family, "model.layers.")
    for key, parameter in model.named_parameters():
        number = key.removeprefix(prefix).split(".", 1)[0] if key.startswith(prefix) else None
        parameter.requires_grad_(number is not None and not plan[int(number)].sources)
    model = _trained(folder, model, ALONE, name)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return _trained(folder, model, REST, name + " as a whole")


def _put_together(folder: Path, parent: str, family: str, plan: Plan, name: str, *, trained: bool) -> Any:
    model = _assembled(folder, parent, family, plan, name)
    return _trained(folder, model, REST, name) if trained else model


Claim = dict[str, Any]


def pairs(made: list[Made]) -> list[tuple[Made, Made]]:
    """Every model beside its parent, and every one with new layers beside the next of its siblings."""
    parents = {each.name: each for each in made if each.kind == "parent"}
    beside = [(parents[each.parent], each) for each in made if each.kind != "parent"]
    new = [each for each in made if each.kind == "new layers"]
    for parent in parents:
        family = [each for each in new if each.parent == parent]
        beside += [(one, other) for one, other in zip(family, family[1:] + family[:1], strict=True) if one is not other]
    return beside


def claims(reference: Made, suspect: Made, found: Comparison) -> Iterator[Claim]:
    """What is said of every layer of the suspect, beside the truth."""
    said = {origin.layer: origin for origin in found.layers}
    for layer, true in enumerate(suspect.truth):
        origin = said.get(layer)
        named = sorted({reference.truth[source] for source in origin.sources}) if origin else []
        yield {
            "pair": [reference.name, suspect.name],
            "kind": suspect.kind if reference.kind == "parent" else "new layers, beside a sibling's",
            "layer": layer,
            "truth": true,
            "state": origin.state if origin else "no-evidence",
            "right": origin is not None and _right(true, origin.state, " and ".join(named)),
            "sources": named,
            "weights": list(origin.weights) if origin else [],
            "log10_p": origin.log10_p if origin else None,
        }


def _right(true: str, state: str, named: str) -> bool:
    if true in ("new", "nothing"):
        return state == {"new": "new", "nothing": "identity"}[true]
    return named == true and state in (("average",) if "and" in true else ("shared", "identical"))


def raw(reference: Made, suspect: Made, models: tuple[Fingerprint, Fingerprint]) -> Iterator[Claim]:
    """P-values of every test of a new layer with one layer of the reference, drawn by the names alone."""
    new = [layer for layer, true in enumerate(suspect.truth) if true == "new"]
    rng = np.random.default_rng(seed_of(f"{reference.name} {suspect.name}"))
    chosen = [(int(rng.integers(len(reference.truth))), layer) for layer in new]
    for method in tests():
        if method.single_layers is None or not new:
            continue
        try:
            log10_ps = method.single_layers(*models).log10_ps(chosen)
        except NotApplicable:
            continue
        yield from ({"test": method.name, "log10_p": log10_p} for log10_p in log10_ps)


COLUMNS = {
    "that layer": ("shared", "identical"),
    "average": ("average",),
    "writes nothing": ("identity",),
    "none, or trained too far": ("new",),
    "no evidence": ("no-evidence",),
}


def table(rows: list[Claim]) -> str:
    """What is said of layers, by how the models were made and by the truth; wrong sources in a column of their own."""
    groups: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for row in rows:
        true = row["truth"]
        what = {"new": "new", "nothing": "writes nothing"}.get(true, "average of two" if "and" in true else "a layer")
        groups[row["kind"], what].append(row)
    lines = [
        f"| models | truth | layers | {' | '.join(COLUMNS)} | another source |",
        "|---|---" + "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for (kind, what), found in sorted(groups.items()):
        wrong = [row for row in found if not row["right"] and row["state"] in ("shared", "identical", "average")]
        rest = Counter(row["state"] for row in found if row not in wrong)
        counts = " | ".join(str(sum(rest[state] for state in states)) for states in COLUMNS.values())
        lines.append(f"| {kind} | {what} | {len(found)} | {counts} | {len(wrong)} |")
    new = [row for row in rows if row["truth"] == "new"]
    called = sum(row["state"] in ("shared", "identical", "average") for row in new)
    right = sum(row["right"] for row in rows)
    weights = [abs(weight - 0.5) for row in rows if row["right"] for weight in row["weights"]]
    return (
        "\n".join(lines)
        + f"\n\n{right} of {len(rows)} layers are named right ({right / len(rows):.1%}). Of {len(new)} new layers "
        f"{called} are said to have a source. Weights of averages of two are off by at most {max(weights, default=0):.2f}."
    )


def uniform(rows: list[Claim], claimed: list[Claim]) -> str:
    """P-values of new layers beside shared ones: of each test with one layer named beforehand, and corrected as reported."""
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[f"`{row['test']}`, one pair of layers"].append(min(10 ** row["log10_p"], 1.0))
    for row in claimed:
        if row["truth"] == "new" and row["log10_p"] is not None:
            values["all together, corrected as reported"].append(10 ** row["log10_p"])
    lines = ["| new layers, by | layers | KS p | smallest p | p <= 0.05 | p <= 0.01 |", "|---|---|---|---|---|---|"]
    for what, found in sorted(values.items(), reverse=True):
        p = np.array(found)
        ks = kstest(p, "uniform", alternative="greater").pvalue
        lines.append(f"| {what} | {len(p)} | {ks:.2f} | {p.min():.1g} | {np.mean(p <= 0.05):.1%} | {np.mean(p <= 0.01):.1%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--siblings", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    made = build(arguments.folder, arguments.siblings)
    measured = {each.name: fingerprint(arguments.folder / each.name) for each in made}
    rows: list[Claim] = []
    p_values: list[Claim] = []
    for one, other in track(pairs(made), "pairs", console=Console(stderr=True)):
        models = (measured[one.name], measured[other.name])
        rows += claims(one, other, examine(models))
        p_values += raw(one, other, models)
    distinct = sum(true == "new" for each in made for true in each.truth)
    print(f"{len(made)} models, {distinct} new layers in them, {len(pairs(made))} pairs.\n")
    print(f"{table(rows)}\n\n{uniform(p_values, rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
