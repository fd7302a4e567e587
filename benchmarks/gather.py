"""What `kinprint gather` finds of merges whose parts are known, beside least squares on all weights.

    python benchmarks/gather.py zoo-small

makes merges from models of a zoo (`kinprint zoo build --size small`) in a temporary folder, and prints:

- the largest error of the coefficients, from samples and from all weights, and both processor times;
- which kinds are told from which (confusion table);
- layer sources of frankenmerges;
- coefficients after a cast, a quantisation, noise (what training leaves);
- p-values of unrelated pairs, and for every model of the zoo, with all others as candidates, how many strangers are named.

The library of every merge is the whole zoo but its other merges, strangers included.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import ALPHA
from kinprint.library.merges.combination import Data
from kinprint.library.merges.gather import gather
from kinprint.library.merges.gather_result import Gathering
from kinprint.library.merges.relatives import relatives
from kinprint.library.merges.sampled_entries import matrix_of, places, shape, spacing, values
from kinprint.transforms import apply, read_model, write
from kinprint.zoo import Lineage

SIBLINGS = ("llama-finetune", "llama-sibling", "llama-swapped", "llama-lora", "llama-long", "llama-pruned-magnitude")
BASE = "llama-base"
SEEDS = 6


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
        _later(given.zoo, merges[: given.seeds], Path(folder), known)
    _signs(lineage, prints)
    _strangers(lineage, prints)


def _merges(zoo: Path, folder: Path, seeds: int) -> Iterator[tuple[str, Path, dict[str, float]]]:
    """Kind, folder, true coefficients. Siblings and coefficients come from the seed."""
    for kind, parts in (("linear", 2), ("linear", 3), ("slerp", 2), ("task-arithmetic", 2), ("ties", 2)):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, parts, len(kind)])
            chosen = [str(name) for name in rng.choice(SIBLINGS, parts, replace=False)]
            weights = rng.dirichlet(np.full(parts, 4.0)) if kind != "task-arithmetic" else rng.uniform(0.4, 1.0, parts)
            options: dict[str, Any] = {
                "others": [zoo / name for name in chosen[1:]],
                "method": kind,
                "weights": weights.tolist(),
            }
            truth = dict(zip(chosen, weights.tolist(), strict=True))
            if kind in ("task-arithmetic", "ties"):
                options["base"] = zoo / BASE
            if kind == "task-arithmetic":
                truth[BASE] = 1 - sum(weights)
            target = folder / f"{kind}-{parts}-{seed}"
            apply("merge", zoo / chosen[0], target, **options)
            yield f"{kind} of {parts}", target, truth


def _found(gathering: Gathering) -> dict[str, float]:
    return {parent.model.name: parent.coefficient for parent in gathering.parents}


def _error(found: dict[str, float], truth: dict[str, float]) -> float:
    """Largest error of a coefficient; infinite if other parts were named than there are. A base without one is none."""
    named = {name: value for name, value in found.items() if not np.isnan(value)}
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


def _later(zoo: Path, merges: Sequence[tuple[str, Path, dict[str, float]]], folder: Path, known: Sequence[Fingerprint]) -> None:
    """What casts, quantisation and further change leave of linear merges of two."""
    steps: dict[str, tuple[str, dict[str, Any]]] = {
        "bf16": ("cast", {"dtype": "bf16"}),
        "int8": ("quantize", {"scheme": "int8"}),
        "fp8": ("quantize", {"scheme": "fp8"}),
        "int4": ("quantize", {"scheme": "int4"}),
        "noise of 2 %": ("noise", {"amount": 0.02}),
        "noise of 5 %": ("noise", {"amount": 0.05}),
        "noise of 10 %": ("noise", {"amount": 0.1}),
    }
    print(
        "\nlinear merges of two, changed afterwards: parts right, largest error, largest error in standard errors, others named"
    )
    for title, (name, options) in steps.items():
        errors, scaled, wrong = [], [], 0
        for number, (_, path, truth) in enumerate(merges):
            target = folder / f"{title}-{number}"
            apply(name, path, target, **(options | {"seed": 0} if name == "noise" else options))
            found = gather(fingerprint(target, cache=False), known)
            error = _error(_found(found), truth)
            wrong += sum(parent.model.name not in truth for parent in found.parents)
            if np.isfinite(error):
                errors.append(error)
                scaled += [abs(p.coefficient - truth[p.model.name]) / p.error for p in found.parents if p.error]
        print(
            f"{title:14} {len(errors)}/{len(merges)}  {max(errors, default=np.nan):.4f}  "
            f"{max(scaled, default=np.nan):.1f}  {wrong}"
        )


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


if __name__ == "__main__":
    main()
