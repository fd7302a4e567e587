"""What `kinprint gather` finds of merges whose parts are known, beside least squares on all weights.

    python benchmarks/gather.py zoo-small --seeds 3

makes merges from models of a zoo (`kinprint zoo build --size small`) in a temporary folder, and prints:

- the largest error of the coefficients, from samples and from all weights, and both processor times;
- which kinds are told from which (confusion table);
- layer sources of frankenmerges;
- what is found after a cast, a quantisation, noise, training: parts, coefficients, their stated errors;
- p-values of unrelated pairs, and for every model of the zoo, with all others as candidates, how many strangers are named;
- how often models that are no merge are called one, with parts of the zoo as libraries.

The library of every merge is the whole zoo but its other merges, strangers included.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import ALPHA
from kinprint.library.merges.combination import Data
from kinprint.library.merges.gather import gather
from kinprint.library.merges.gather_result import Gathering
from kinprint.library.merges.relatives import relatives
from kinprint.library.merges.sampled_entries import matrix_of, places, shape, spacing, values
from kinprint.transforms import apply, read_model, write
from kinprint.transforms._model import changed
from kinprint.zoo import Lineage
from kinprint.zoo.families import SHAPES
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import tokens
from kinprint.zoo.training import train

SIBLINGS = ("llama-finetune", "llama-sibling", "llama-swapped", "llama-lora", "llama-long", "llama-pruned-magnitude")
BASE = "llama-base"
SEEDS = 6
SPARSE = ("dare", "della", "breadcrumbs", "sce")
SUMS = ("linear of 2", "linear of 3", "task-arithmetic of 2")
"""Merges that are changed afterwards."""

TEXTS: tuple[Literal["code", "prose"], ...] = ("code", "prose")
LIBRARIES = 4
"""Random parts of a family that its models are sought in."""

RATES, ORDER = (5e-5, 5e-4), 100
"""Of the training after a merge: a tenth of the rate of the zoo's fine-tunes, and that rate; an order of text of its own."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="merges of each kind")
    given = parser.parse_args()
    lineage = Lineage.read(given.zoo)
    prints = {name: fingerprint(given.zoo / name) for name in lineage.members}
    known = [prints[name] for name, member in lineage.members.items() if member.kind != "merged"]
    with TemporaryDirectory() as folder:
        merges = list(_merges(given.zoo, Path(folder), given.seeds))
        _kinds(_coefficients(given.zoo, merges, known))
        _layers(given.zoo, Path(folder), known, given.seeds)
        _later(given.zoo, lineage.size, merges, Path(folder), known)
    _signs(lineage, prints)
    _strangers(lineage, prints)
    _no_merges(lineage, prints)


def _merges(zoo: Path, folder: Path, seeds: int) -> Iterator[tuple[str, Path, dict[str, float]]]:
    """Kind, folder, true coefficients. Siblings and coefficients come from the seed."""
    for kind, parts in (
        ("linear", 2),
        ("linear", 3),
        ("slerp", 2),
        ("task-arithmetic", 2),
        ("ties", 2),
        *((kind, 2) for kind in SPARSE),
    ):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, parts, len(kind)])
            chosen = [str(name) for name in rng.choice(SIBLINGS, parts, replace=False)]
            weights = (
                rng.dirichlet(np.full(parts, 4.0)) if kind in ("linear", "slerp", "ties") else rng.uniform(0.4, 1.0, parts)
            )
            options: dict[str, Any] = {
                "others": [zoo / name for name in chosen[1:]],
                "method": kind,
                "weights": weights.tolist(),
            }
            truth = dict(zip(chosen, weights.tolist(), strict=True))
            if kind not in ("linear", "slerp"):
                options |= {"base": zoo / BASE, "seed": seed}
            if kind == "task-arithmetic":
                truth[BASE] = 1 - sum(weights)
            target = folder / f"{kind}-{parts}-{seed}"
            apply("merge", zoo / chosen[0], target, **options)
            yield f"{kind} of {parts}", target, truth


def _found(gathering: Gathering) -> dict[str, float]:
    return {parent.model.name: parent.coefficient for parent in gathering.parents}


def _error(found: dict[str, float], truth: dict[str, float]) -> float:
    """Largest error of a coefficient; infinite if other parts were named than there are. A base counts where it has one."""
    named = {name: value for name, value in found.items() if name in truth or name != BASE}
    return max(abs(named[name] - truth[name]) for name in truth) if named.keys() == truth.keys() else np.inf


def _coefficients(
    zoo: Path, merges: Sequence[tuple[str, Path, dict[str, float]]], known: Sequence[Fingerprint]
) -> dict[str, Counter[str]]:
    """Beside least squares on all weights, which is told the true parts. Returns how often each kind was called what."""
    told: dict[str, Counter[str]] = {}
    print("\ncoefficients: parts right, largest error, from samples; largest error from all weights of the true parts")
    for kind in dict.fromkeys(kind for kind, _, _ in merges):
        errors, whole, seconds = [], [], np.zeros(2)
        for other, path, truth in merges:
            if other != kind:
                continue
            measured = fingerprint(path, cache=False)
            start = time.process_time()
            found = gather(measured, known)
            seconds[0] += time.process_time() - start
            told.setdefault(kind, Counter())[found.kind] += 1
            errors.append(_error(_found(found), truth))
            start = time.process_time()
            whole.append(_error(_all_weights(zoo, path, list(truth)), truth))
            seconds[1] += time.process_time() - start
        right = [error for error in errors if np.isfinite(error)]
        print(
            f"{kind:22} {len(right)}/{len(errors)}  {max(right, default=np.nan):.4f}   {seconds[0] / len(errors):.2f} s"
            f"   all weights {max(whole):.5f}   {seconds[1] / len(errors):.2f} s"
        )
    return told


def _all_weights(zoo: Path, suspect: Path, parts: list[str]) -> dict[str, float]:
    """Ordinary least squares of y - x_0 on x_i - x_0 over all weights, the sums accumulated a tensor at a time."""
    models = [read_model(path) for path in (suspect, *(zoo / name for name in parts))]
    left, right = np.zeros((len(parts) - 1,) * 2), np.zeros(len(parts) - 1)
    for place in models[0].parts:
        y, first, *others = (model.parts[place].read().astype(np.float64).ravel() for model in models)
        x = np.stack([other - first for other in others])
        left += x @ x.T
        right += x @ (y - first)
    slopes = np.linalg.solve(left, right)
    return dict(zip(parts, [1 - slopes.sum(), *slopes], strict=True))


def _kinds(told: dict[str, Counter[str]]) -> None:
    print("\nkinds: truth -> what was said")
    for kind, counts in told.items():
        print(f"{kind:22} {dict(counts)}")


def _layers(zoo: Path, folder: Path, known: Sequence[Fingerprint], seeds: int) -> None:
    """Models made of whole layers of siblings: as many layers as a model has in place, more in any order."""
    right = total = 0
    for seed in range(2 * seeds):
        rng = np.random.default_rng([seed, 99])
        models = {name: read_model(zoo / name) for name in rng.choice(SIBLINGS, 2 + seed % 2, replace=False)}
        first = next(iter(models.values()))
        count = first.layers + 2 * (seed % 2)
        order = list(range(count)) if count == first.layers else [int(n) for n in rng.integers(0, first.layers, count)]
        sources = [(str(rng.choice(list(models))), layer) for layer in order]
        parts = {place: part for place, part in first.parts.items() if place[0] is None}
        for new, (name, old) in enumerate(sources):
            for (layer, role, expert), part in models[name].parts.items():
                if layer == old:
                    parts[new, role, expert] = replace(part, layer=new)
        target = folder / f"layers-{seed}"
        write(replace(first, parts=parts).resized(num_hidden_layers=count), target)
        found = gather(fingerprint(target, cache=False), known)
        said = [layer.source[:2] if layer.source else None for layer in found.layers]
        right += sum(a == b for a, b in zip(said, sources, strict=False)) if len(said) == count else 0
        total += count
    print(f"\nlayer sources: {right} of {total} layers of {2 * seeds} frankenmerges right")


def _later(
    zoo: Path,
    size: str,
    merges: Sequence[tuple[str, Path, dict[str, float]]],
    folder: Path,
    known: Sequence[Fingerprint],
) -> None:
    """What casts, quantisation, noise and training leave of sums."""
    steps: dict[str, tuple[str, dict[str, Any]]] = {
        "bf16": ("cast", {"dtype": "bf16"}),
        **{scheme: ("quantize", {"scheme": scheme}) for scheme in ("int8", "fp8", "int4")},
        **{f"noise of {amount} %": ("noise", {"amount": amount / 100}) for amount in (1, 2, 5, 10)},
        **{f"noise of {amount} %, everywhere": ("everywhere", {"amount": amount / 100}) for amount in (2, 10)},
        **{f"{steps} steps at {rate:.0e}": ("train", {"steps": steps, "rate": rate}) for rate in RATES for steps in (50, 200)},
    }
    print(
        "\nsums, changed afterwards: parts right; wrong parts named, in how many of them a right one is said to fit as well; "
        "largest error of a coefficient; coefficients within 2 standard errors"
    )
    for title, (name, options) in steps.items():
        tally = Counter[str]()
        errors, inside = [], []
        for number, (kind, path, truth) in enumerate(merges):
            if kind not in SUMS:
                continue
            target = folder / f"{title}-{number}"
            if name == "train":
                _trained(path, target, zoo, size, number, **options)
            elif name == "everywhere":
                _noisy(path, target, number, **options)
            else:
                apply(name, path, target, **(options | {"seed": number} if name == "noise" else options))
            found = gather(fingerprint(target, cache=False), known)
            error = _error(_found(found), truth)
            wrong = [parent for parent in found.parents if parent.model.name not in truth]
            tally += Counter(merges=1, right=int(np.isfinite(error)), wrong=len(wrong))
            tally["instead"] += sum(any(name in truth for name in parent.instead) for parent in wrong)
            if np.isfinite(error):
                errors.append(error)
                inside += [abs(p.coefficient - truth[p.model.name]) <= 2 * p.error for p in found.parents if p.error]
        print(
            f"{title:28} {tally['right']}/{tally['merges']}  {tally['wrong']} ({tally['instead']})  "
            f"{max(errors, default=np.nan):.4f}  {sum(inside)}/{len(inside)}",
            flush=True,
        )


def _noisy(path: Path, target: Path, seed: int, *, amount: float) -> None:
    """Noise in every tensor: `kinprint transform noise` leaves embeddings and gains as they are."""
    model, random = read_model(path), np.random.default_rng(seed)

    def noisy(array: NDArray[np.float32]) -> NDArray[np.float32]:
        return array + np.float32(amount * array.std(dtype=np.float64)) * random.standard_normal(array.shape, np.float32)

    write(model.each(lambda place, part: changed(part, noisy)), target)


def _trained(path: Path, target: Path, zoo: Path, size: str, number: int, *, steps: int, rate: float) -> None:
    """A model trained on as the zoo's are, with one of their texts in an order that no member has seen."""
    shape, text, order = SHAPES[size], TEXTS[number % 2], ORDER + number
    torch.manual_seed(order)
    ids = tokens(text, size, path / "tokenizer.json", zoo / "tokens")
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    step = Train(text, steps / shape.steps, rate, order)
    train(model, ids, step, shape).to(torch.bfloat16).save_pretrained(target)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(path / name, target / name)


def _signs(lineage: Lineage, prints: dict[str, Fingerprint]) -> None:
    """The test that keeps strangers out, of every two unrelated models of one shape."""
    p = []
    for name, suspect in prints.items():
        alike = [other for other in prints if other != name and shape(prints[other]) == shape(suspect)]
        strangers = [prints[other] for other in alike if lineage.relation(other, name).truth == "unrelated"]
        where, entries = places(suspect), values(suspect, suspect)
        for model in strangers:
            data = Data(entries, matrix_of([model], suspect), where, spacing(suspect, where, entries))
            p.append(10 ** float(relatives(data, ALPHA)[1][0]))
    found = np.array(p)
    print(
        f"\nunrelated pairs of one shape, each way: {len(p)}; smallest p {found.min():.3f}, "
        f"p <= 0.05 in {(found <= 0.05).mean():.1%}, p <= 0.5 in {(found <= 0.5).mean():.1%}"
    )


def _strangers(lineage: Lineage, prints: dict[str, Fingerprint]) -> None:
    """Every model with all others as candidates."""
    named, false, tried, kinds = 0, [], 0, Counter[str]()
    for name, suspect in prints.items():
        found = gather(suspect, list(prints.values()))
        kinds[found.kind] += 1
        tried += sum(lineage.relation(other, name).truth == "unrelated" for other in prints if other != name)
        for model in (
            *(parent.model for parent in found.parents),
            *(model for model, _ in (*found.associated, *found.elsewhere)),
        ):
            named += 1
            if lineage.relation(model.name, name).truth == "unrelated":
                false.append((name, model.name))
    print(f"\nstrangers named: {len(false)} of {named} models named, {tried} unrelated pairs searched; {dict(kinds)} {false}")


def _no_merges(lineage: Lineage, prints: dict[str, Fingerprint]) -> None:
    """Models that are no merge, of the family that merges are made from, with random parts of the family as libraries."""
    family = [m for n, m in prints.items() if shape(m) == shape(prints[BASE]) and lineage.members[n].kind != "merged"]
    called, tried = Counter[str](), 0
    for draw in range(LIBRARIES):
        rng = np.random.default_rng([draw, 7])
        for suspect in family:
            library = [model for model in family if model is not suspect and rng.random() < (0.5, 0.9)[draw % 2]]
            found = gather(suspect, library)
            tried += 1
            if len(found.parents) > 1:
                called[f"{suspect.name} of {', '.join(sorted(parent.model.name for parent in found.parents))}"] += 1
    print(f"\nno merges called merges: {called.total()} of {tried} searches in parts of the family; {dict(called)}")


if __name__ == "__main__":
    main()
