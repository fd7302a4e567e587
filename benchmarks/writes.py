"""Does the tolerance of `matched-writes` hold where strangers are most alike? Trains models without gates, compares all pairs.

    python benchmarks/writes.py FOLDER [--models 33] [--steps 4000] [--deep] [--json FILE]

Independently trained models have features in common (Gurnee et al., Universal Neurons in GPT2 Language Models, arXiv
2401.12181), the more so the longer they train on the same text. So all models here have one text, one tokenizer and the same
batches in the same order, and are trained for ten times as many steps as the zoo's; every pair is unrelated. Beside them
descendants in disguise: what the tolerance must not hide. Models that are there are kept; progress is told on stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.stats import binom, kstest

from kinprint import Fingerprint, fingerprint
from kinprint.architectures import Weights, open_model
from kinprint.matching.search import correspondence
from kinprint.matching.writes import write_agreements
from kinprint.methods import matched_neurons, matched_writes
from kinprint.statistics import sign_test
from kinprint.zoo import Member
from kinprint.zoo.families import SHAPES, Shape
from kinprint.zoo.members import digests, finished, make, prepare
from kinprint.zoo.recipes import RETRAINED, Fresh, Recipe, Train, Transform
from kinprint.zoo.text import CHARACTERS, tokens

Array = NDArray[np.float64]

SHAPE = Shape(hidden=64, layers=3, heads=4, groups=4, neurons=256, vocabulary=384, steps=4000, batch=8, length=64)
"""Neurons of models without gates are half as many again: 384 a layer."""

SHORT = 0.3
"""Steps of a short training, as a share of those of a long one."""

DRAWS = 99_999
"""Random signs for p-values of at most COARSE; the test itself draws 999, whose smallest p-value is 1e-3."""

COARSE = 0.02
LEVELS = (0.05, 0.01, 1e-3, 1e-4)
PLANTED = (0.01, 0.02, 0.03, 0.05, 0.1)
"""Shares of neurons that are made the same in two strangers."""

TOLERANCES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0)
"""In units of the one that is shipped."""


@dataclass(frozen=True)
class Kind:
    """Models that differ in their seed alone.

    Attributes:
        count: how many there are of 33 models.
        length: steps, as a share of those of a long training.
    """

    family: str
    hidden: int
    count: int
    length: float = 1.0

    @property
    def size(self) -> str:
        """Name of the shape."""
        return f"writes-{self.hidden}"

    def names(self, models: int) -> list[str]:
        count = max(round(self.count * models / MODELS), 1)
        return [f"{self.family}-{self.hidden}{'-short' if self.length < 1 else ''}-{n}" for n in range(count)]


KINDS = (
    Kind("gpt2", 64, 6),
    Kind("gpt_neox", 64, 1),
    Kind("gpt2", 96, 1),
    Kind("opt", 64, 1),
    Kind("gpt2", 64, 10, SHORT),
    Kind("gpt_neox", 64, 6, SHORT),
    Kind("gpt2", 96, 4, SHORT),
    Kind("opt", 64, 4, SHORT),
)
MODELS = sum(kind.count for kind in KINDS)
PARENTS = 2
"""Of each kind of long training, the first models that have descendants."""


def shapes(steps: int) -> None:
    """Make the widths known as sizes of a zoo, with as much text as `small` has."""
    for kind in KINDS:
        SHAPES[kind.size] = replace(SHAPE, hidden=kind.hidden, steps=steps)
        CHARACTERS[kind.size] = CHARACTERS["small"]


def strangers(models: int) -> list[tuple[Recipe, Kind]]:
    """Models from scratch, each from a seed of its own; kinds take turns."""
    turns = {}
    for kind in KINDS:
        names = kind.names(models)
        for number, name in enumerate(names):
            member = Member(name, kind.family, "base", initialisation=name)
            steps = (Fresh(kind.family, name), Train(length=kind.length))
            turns[name] = (number / len(names), Recipe(member, steps, "Trained from scratch."), kind)
    return [(recipe, kind) for _, recipe, kind in sorted(turns.values(), key=lambda turn: turn[0])]


def descendants(models: int) -> Iterator[tuple[Recipe, Kind]]:
    """Noisy copies and fine-tunes of some, each in disguise."""
    changes: dict[str, Train | Transform] = {
        "noise": Transform("noise", {"amount": 0.1}),
        "fine-tune": Train("prose", RETRAINED, 5e-4, 2),
    }
    for kind in KINDS:
        if kind.length == 1:
            for seed, parent in enumerate(kind.names(models)[:PARENTS]):
                for what, step in changes.items():
                    member = Member(f"{parent}-{what}", kind.family, what, (parent,), disguise=True, seed=seed)
                    steps = (step, Transform("disguise", {"seed": seed}))
                    yield Recipe(member, steps, f"From `{parent}`: {what}, in another form."), kind


def build(folder: Path, wanted: list[tuple[Recipe, Kind]]) -> None:
    """Make what is not there yet, one after the other."""
    from transformers import logging

    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    marks = {kind.size: digests(tuple(recipe for recipe, _ in wanted), kind.size) for kind in KINDS}
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, KINDS[0].size)
    for done, (recipe, kind) in enumerate(wanted):
        name, mark = recipe.member.name, marks[kind.size][recipe.member.name]

        def tell(step: int, steps: int, loss: float, start: str = f"{done + 1} of {len(wanted)}: {name}") -> None:
            if step % 400 == 0 or step == steps:
                print(f"{start}, step {step} of {steps}, loss {loss:.2f}", file=sys.stderr, flush=True)

        if not finished(folder / name, mark):
            make(recipe, folder, kind.size, "cpu", mark, tell)


@dataclass(frozen=True)
class Pair:
    """What was measured of two models.

    Attributes:
        group: what they have in common.
        agreements: (n,) of matched neurons, weighted, without tolerance.
        weights: (n,) what a tolerance of 1 takes from each.
        tolerance: the one that is shipped.
    """

    one: str
    other: str
    group: str
    agreements: Array
    weights: Array
    tolerance: float

    @property
    def mean(self) -> float:
        """Mean agreement, in tolerances."""
        return float(self.agreements.sum() / self.weights.sum()) / self.tolerance

    def tested(self, tolerances: float) -> tuple[float, float]:
        """z and log10 p with so many times the tolerance that is shipped."""
        values = self.agreements - tolerances * self.tolerance * self.weights
        found = sign_test(values)
        finer = not found.bound and found.log10_p <= np.log10(COARSE)
        return found.z, float(np.log10(finely(values))) if finer else found.log10_p


def finely(values: Array) -> float:
    """The p-value of `sign_test` by more random signs."""
    rng, exceeding, step = np.random.default_rng(0), 0, 10_000
    for start in range(0, DRAWS, step):
        count = min(step, DRAWS - start)
        bits = np.unpackbits(rng.integers(0, 256, (count, -(-len(values) // 8)), np.uint8), axis=1)[:, : len(values)]
        exceeding += int((bits @ (2 * values) - values.sum() >= values.sum()).sum())
    return (exceeding + 1) / (DRAWS + 1)


def from_fingerprints(one: Fingerprint, other: Fingerprint) -> tuple[Array, Array, float]:
    """Agreements of matched neurons, their weights and the tolerance of `matched-writes`."""
    forms = (np.asarray(model.traits["neurons.forms"], np.float64) for model in (one, other))
    ours, theirs = (matched_writes.Side.of(values, gated=False) for values in forms)
    plain, less = (
        np.concatenate([matched_writes.agreements(ours, theirs, layer, layer, t) for layer in range(len(theirs.reads))])
        for t in (0.0, 1.0)
    )
    shipped = matched_writes.METHOD(one, other)
    expected = sign_test(plain - matched_writes.TOLERANCE * (plain - less)).z
    assert shipped.statistic is not None
    assert abs(shipped.statistic - expected) < 1e-6
    return plain, plain - less, matched_writes.TOLERANCE


def planted(one: Fingerprint, other: Fingerprint, share: float) -> tuple[Fingerprint, Fingerprint]:
    """Strangers of one shape, of whose neurons a share is the same in both: more than features in common could be."""
    rng = np.random.default_rng(0)
    theirs = np.array(other.traits["neurons.forms"])
    for layer, rows in enumerate(np.asarray(one.traits["neurons.forms"])):
        chosen = rng.permutation(len(rows))[: round(share * len(rows))]
        theirs[layer, chosen] = rows[chosen]
    return one, Fingerprint(other.name, {"neurons.forms": theirs})


def from_checkpoints(one: Weights, other: Weights) -> tuple[Array, Array, float]:
    """The same of what `matched-neurons` says about writes."""
    found = correspondence(one, other)
    plain, less = (np.concatenate(write_agreements(found, t)) for t in (0.0, 1.0))
    return plain, plain - less, matched_neurons.TOLERANCE


def pairs(models: int, changed: list[tuple[Recipe, Kind]]) -> Iterator[tuple[str, str, str]]:
    """All pairs of strangers, and the descendants beside their parents, each with its group."""
    for (one, ours), (other, theirs) in itertools.combinations(strangers(models), 2):
        same = ours.family == theirs.family
        group = (
            "other family"
            if not same
            else "same family and width"
            if ours.hidden == theirs.hidden
            else "same family, other width"
        )
        length = "long" if ours.length == theirs.length == 1 else "short"
        yield one.member.name, other.member.name, f"{group}, {length}"
    for recipe, _ in changed:
        yield recipe.member.parents[0], recipe.member.name, f"descendant: {recipe.member.kind}"


def measured(
    chosen: list[tuple[str, str, str]], folder: Path, opened: Callable[[Path], Any], compared: Callable[..., Any], what: str
) -> list[Pair]:
    """Compare pairs."""
    models = {name: opened(folder / name) for name in dict.fromkeys(name for pair in chosen for name in pair[:2])}
    shown = track(chosen, description=what, console=Console(stderr=True))
    return [Pair(one, other, group, *compared(models[one], models[other])) for one, other, group in shown]


def activations(folder: Path, ids: NDArray[np.int64]) -> Array:
    """(neurons of all layers, tokens) what the neurons of a GPT-2 say to a text, each of mean zero and length one."""
    import torch
    from transformers import AutoModelForCausalLM

    causal: Any = AutoModelForCausalLM
    model = causal.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    seen: list[Array] = []
    for name, module in model.named_modules():
        if name.endswith("mlp.act"):
            module.register_forward_hook(lambda _, __, out: seen.append(out.flatten(0, 1).T.double().numpy()))
    with torch.no_grad():
        model(input_ids=torch.from_numpy(ids))
    values = np.concatenate(seen)
    values -= values.mean(axis=1, keepdims=True)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30))


def universal(folder: Path, names: list[str]) -> tuple[float, float]:
    """Of these models' neurons: the mean excess correlation with the other models, and the share of which it exceeds 0.5.

    As Gurnee et al. have it: the largest correlation of a neuron's activations with those of another model's neurons, less the
    same with a random rotation of each of that model's layers; averaged over the other models.
    """
    ids = tokens("code", KINDS[0].size, folder / "tokenizers" / "main" / "tokenizer.json", folder / "tokens")
    ids = ids[: 256 * SHAPE.length].reshape(256, SHAPE.length)
    said = [activations(folder / name, ids) for name in names]
    rng, excess = np.random.default_rng(0), []
    for one in range(len(said)):
        found = []
        for other in range(len(said)):
            if other != one:
                layers = said[other].reshape(SHAPE.layers, -1, ids.size)
                turned = [np.linalg.qr(rng.normal(size=(len(rows), len(rows))))[0] @ rows for rows in layers]
                turned = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30) for rows in turned]
                best, chance = ((said[one] @ rows.T).max(axis=1) for rows in (said[other], np.concatenate(turned)))
                found.append(best - chance)
        excess.append(np.mean(found, axis=0))
    return float(np.mean(excess)), float((np.array(excess) > 0.5).mean())


def stress(folder: Path, names: list[str]) -> None:
    """Print how large a share of the neurons must be the same before strangers are accused."""
    print(f"\n| the same in both | pairs | mean agreement in tolerances | p <= 1e-3 | p <= 1e-6 | largest z |\n|{'---|' * 6}")
    models = [fingerprint(folder / name) for name in names]
    for share in PLANTED:
        couples = [planted(one, other, share) for one, other in itertools.combinations(models, 2)]
        found = [Pair(a.name, b.name, "planted", *from_fingerprints(a, b)) for a, b in couples]
        z, log10_p = np.array([pair.tested(1.0) for pair in found]).T
        mean, counts = np.mean([pair.mean for pair in found]), [int((log10_p <= level).sum()) for level in (-3, -6)]
        print(f"| {share:.0%} | {len(found)} | {mean:.2f} | {counts[0]} | {counts[1]} | {z.max():.1f} |")


def grouped(found: Iterable[Pair]) -> dict[str, list[Pair]]:
    """By group, and the strangers all together."""
    groups: dict[str, list[Pair]] = {}
    for pair in found:
        groups.setdefault(pair.group, []).append(pair)
    apart = {name: groups[name] for name in sorted(groups) if not name.startswith("descendant")}
    together = [pair for members in apart.values() for pair in members]
    return apart | {"all strangers": together} | {name: groups[name] for name in sorted(groups) if name not in apart}


def tables(found: list[Pair]) -> None:
    """Print p-values with and without tolerance, mean agreements, and what other tolerances would do."""
    groups = grouped(found)
    levels = " | ".join(f"p <= {level:g}" for level in LEVELS)
    print(f"\n| pairs | tolerance | pairs | KS p | {levels} | smallest log10 p | largest z |\n|{'---|' * (6 + len(LEVELS))}")
    for name, members in groups.items():
        for what, times in (("without", 0.0), ("with", 1.0)):
            z, log10_p = np.array([pair.tested(times) for pair in members]).T
            shares = " | ".join(f"{(log10_p <= np.log10(level)).mean():.2%}" for level in LEVELS)
            ks = kstest(10**log10_p, "uniform").pvalue
            print(f"| {name} | {what} | {len(z)} | {ks:.2g} | {shares} | {log10_p.min():.1f} | {z.max():.1f} |")
    print("\nMean agreement in tolerances; z without tolerance, whose spread is 1 if pairs differ by chance alone.\n")
    print(f"| pairs | neurons matched | mean | its standard error | median | largest | mean z | spread of z |\n|{'---|' * 8}")
    for name, members in groups.items():
        means, z = (np.array(values) for values in zip(*((pair.mean, pair.tested(0.0)[0]) for pair in members), strict=True))
        error = means.std(ddof=1) / len(means) ** 0.5 if len(means) > 1 else float("nan")
        matched = np.median([len(pair.weights) for pair in members])
        figures = (means.mean(), error, np.median(means), means.max(), z.mean(), z.std())
        print(f"| {name} | {matched:.0f} | {' | '.join(f'{figure:.2f}' for figure in figures)} |")
    print("\n| tolerance | strangers p <= 0.05 | p <= 1e-3 | chance of as many | largest z | descendants p <= 1e-6 | weakest |")
    print(f"|{'---|' * 7}")
    related = [pair for pair in found if pair.group.startswith("descendant")]
    for times in TOLERANCES:
        z, log10_p = np.array([pair.tested(times) for pair in groups["all strangers"]]).T
        theirs = np.array([pair.tested(times)[1] for pair in related])
        small = int((log10_p <= -3).sum())
        cells = (
            f"{times * found[0].tolerance:g} | {(log10_p <= np.log10(0.05)).mean():.2%} | {small} of {len(z)}",
            f"{binom.sf(small - 1, len(z), 1e-3):.2g} | {z.max():.1f} | {(theirs <= -6).sum()} of {len(theirs)}",
        )
        print(f"| {' | '.join(cells)} | {theirs.max():.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the models are kept")
    parser.add_argument("--models", type=int, default=MODELS, help="trained from scratch")
    parser.add_argument("--steps", type=int, default=SHAPE.steps, help="of a long training")
    parser.add_argument("--deep", action="store_true", help="test what `matched-neurons` says about writes as well")
    parser.add_argument("--json", type=Path, help="write the figures of every pair too")
    arguments = parser.parse_args()
    shapes(arguments.steps)
    changed = list(descendants(arguments.models))
    build(arguments.folder, [*strangers(arguments.models), *changed])
    every = list(pairs(arguments.models, changed))
    found = {"matched-writes": measured(every, arguments.folder, fingerprint, from_fingerprints, "fingerprints")}
    if arguments.deep:
        found["matched-neurons"] = measured(
            every, arguments.folder, lambda place: open_model(place).weights, from_checkpoints, "checkpoints"
        )
    for method, compared in found.items():
        print(f"\n`{method}`, tolerance {compared[0].tolerance:g}:")
        tables(compared)
    stress(arguments.folder, KINDS[0].names(arguments.models))
    for kind in (KINDS[0], next(kind for kind in KINDS if kind.size == KINDS[0].size and kind.length == SHORT)):
        names = kind.names(arguments.models)[: KINDS[0].count]
        mean, share = universal(arguments.folder, names)
        what = f"{len(names)} {kind.family} of {kind.hidden} channels, {kind.length * arguments.steps:.0f} steps"
        print(f"\n{what}: mean excess correlation {mean:.3f}, {share:.1%} of the neurons universal (more than 0.5).")
    if arguments.json:
        rows = [
            {"method": method, "one": pair.one, "other": pair.other, "group": pair.group, "mean": pair.mean}
            | {what: pair.tested(times) for what, times in (("without", 0.0), ("with", 1.0))}
            for method, compared in found.items()
            for pair in compared
        ]
        arguments.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
