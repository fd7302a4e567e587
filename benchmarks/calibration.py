"""Are the p-values of the tests uniform on models trained independently? Trains many, compares all pairs.

    python benchmarks/calibration.py --models 8 [--deep [--only STATEMENT] | --quick]

With --quick fingerprints come from 1 % of the bytes; each pair is compared once by two of them, and once by one and a full one.
With --deep the statements of `matched-neurons` are taken apart: its signs, by both first rotations, and its writes without
their tolerance, with which p-values are larger than uniform ones.
Models of one family differ in their seed alone: same architecture, data, data order, recipe. Every pair is unrelated. Under
the null, pairs are independent two by two, even those that share a model, so their p-values are nearly a sample from one
distribution.
"""

from __future__ import annotations

import argparse
import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.stats import kstest

from kinprint import Fingerprint, fingerprint
from kinprint.architectures import Weights, open_model
from kinprint.matching.search import correspondence
from kinprint.matching.signs import sign_agreements
from kinprint.matching.writes import write_agreements
from kinprint.methods import known, matched_writes
from kinprint.statistics import sign_test
from kinprint.zoo import Member
from kinprint.zoo.build import build
from kinprint.zoo.recipes import Fresh, Recipe, Train


def founders(family: str, count: int) -> tuple[Recipe, ...]:
    """Models from scratch, each from a seed of its own."""
    names = [f"{family}-founder-{number}" for number in range(count)]
    return tuple(
        Recipe(Member(name, family, "base", initialisation=name), (Fresh(family, name), Train()), "Trained from scratch.")
        for name in names
    )


def from_fingerprints(one: Fingerprint, other: Fingerprint) -> dict[str, float]:
    """log10 p by test, of those that apply."""
    found = {method.name: method(one, other).log10_p for method in known() if method.kind == "test" and not method.deep}
    if found["matched-writes"] is not None:
        sides = [matched_writes.Side.of(np.asarray(m.traits["neurons.forms"]), gated=False) for m in (one, other)]
        each = [matched_writes.agreements(*sides, layer, layer, 0.0) for layer in range(one.traits["neurons.forms"].shape[0])]
        found["matched-writes, no tolerance"] = sign_test(np.concatenate(each)).log10_p
    return {name: log10_p for name, log10_p in found.items() if log10_p is not None}


def both(folder: Path) -> tuple[Fingerprint, Fingerprint]:
    """The quick and the full fingerprint of a model."""
    return fingerprint(folder, quick=True), fingerprint(folder)


def from_quick(one: tuple[Fingerprint, Fingerprint], other: tuple[Fingerprint, Fingerprint]) -> dict[str, float]:
    """log10 p by test, of quick fingerprints and of a quick beside a full one; each model is given as (quick, full)."""
    wanted = {"channels", "neurons", "experts", "matched-readings"}
    found = {}
    for kind, suspect in zip(("quick", "quick and full"), other, strict=True):
        for method in known():
            if method.name in wanted and (log10_p := method(one[0], suspect).log10_p) is not None:
                found[f"{method.name}, {kind}"] = log10_p
    return found


STATEMENTS = ("signs", "signs, by tokens", "writes, no tolerance")
"""What `matched-neurons` tests; signs are those of gated neurons."""


def from_checkpoints(one: Weights, other: Weights, only: str | None = None) -> dict[str, float]:
    """log10 p of the statements about matched neurons, or of one of them; of those that apply."""
    wanted = {only} if only else set(STATEMENTS)
    agreements: dict[str, list[NDArray[np.float64]]] = {}
    if wanted != {"signs, by tokens"}:
        found = correspondence(one, other)
        if "writes, no tolerance" in wanted and len(found.matches) > 1:
            agreements["writes, no tolerance"] = write_agreements(found, 0.0)
        if "signs" in wanted and found.suspect.gated and found.matches:
            agreements["signs"] = sign_agreements(found)
    if "signs, by tokens" in wanted:
        found = correspondence(one, other, by_tokens=True)
        if found.suspect.gated and found.matches:
            agreements["signs, by tokens"] = sign_agreements(found)
    return {name: sign_test(np.concatenate(values)).log10_p for name, values in agreements.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=8, help="of each family")
    parser.add_argument("--families", default="llama,qwen2,qwen3,gpt_neox,gpt2,mixtral", help="separated by commas")
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--folder", type=Path, default=Path("founders"), help="where the models are kept")
    parser.add_argument("--deep", action="store_true", help="test the checkpoints instead of their fingerprints")
    parser.add_argument("--quick", action="store_true", help="test quick fingerprints, also beside full ones")
    parser.add_argument("--only", choices=STATEMENTS, help="of the statements that --deep takes apart")
    parser.add_argument("--json", type=Path, help="write the p-values too")
    arguments = parser.parse_args()
    wanted = tuple(r for family in arguments.families.split(",") for r in founders(family, arguments.models))
    lineage = build(arguments.folder, arguments.size, only=wanted)
    opened: Any = (lambda place: open_model(place).weights) if arguments.deep else both if arguments.quick else fingerprint
    compared: Any = (
        partial(from_checkpoints, only=arguments.only)
        if arguments.deep
        else from_quick
        if arguments.quick
        else from_fingerprints
    )
    models: dict[str, Any] = {name: opened(arguments.folder / name) for name in lineage.members}
    found: dict[str, dict[str, list[float]]] = {"same family": {}, "other family": {}}
    for one, other in track(list(itertools.combinations(lineage.members.values(), 2)), description="pairs"):
        rows = found["same family" if one.family == other.family else "other family"]
        for name, log10_p in compared(models[one.name], models[other.name]).items():
            rows.setdefault(name, []).append(10**log10_p)
    print(f"| pairs of | test | pairs | KS p | p <= 0.01 | p <= 0.05 | p <= 0.5 | smallest |\n|{'---|' * 8}")
    for kind, tests in found.items():
        for name, values in tests.items():
            p = np.array(values)
            shares = " | ".join(f"{(p <= level).mean():.3f}" for level in (0.01, 0.05, 0.5))
            print(f"| {kind} | {name} | {len(p)} | {kstest(p, 'uniform').pvalue:.2g} | {shares} | {p.min():.3f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
