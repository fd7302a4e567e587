"""Benchmarks on simulated fingerprints, whose truth is known."""

from __future__ import annotations

from functools import cache

import numpy as np
from methods import simulated

from kinprint.benchmark import BenchmarkResult, Pairs, run
from kinprint.benchmark.pairs import Pair
from kinprint.errors import CheckpointError
from kinprint.fingerprints import Fingerprint
from kinprint.zoo import Lineage, Member

BASES = 6


def lineage() -> Lineage:
    """Six bases, a fine-tune of each, a disguised copy of the first fine-tune; bases 4 and 5 began with equal weights."""
    members = [Member(f"base{n}", "llama", "base", initialisation=f"init{min(n, 4)}") for n in range(BASES)]
    members += [Member(f"tuned{n}", "llama", "fine-tune", (f"base{n}",)) for n in range(BASES)]
    members.append(Member("hidden", "llama", "permuted", ("tuned0",), disguise=True))
    return Lineage("small", {member.name: member for member in members})


def fingerprints() -> dict[str, Fingerprint]:
    rng = np.random.default_rng(7)
    found = {f"base{n}": simulated.model(rng, name=f"base{n}") for n in range(BASES)}
    found["base5"] = simulated.descendant(found["base4"], rng, 0.1)
    found |= {f"tuned{n}": simulated.descendant(found[f"base{n}"], rng, 0.1) for n in range(BASES)}
    return found | {"hidden": simulated.model(rng, name="hidden")}  # relabelled: to index tests as good as unrelated


def pairs() -> Pairs:
    known = lineage()
    found = tuple(Pair(r.reference, r.suspect, r.truth, r.kind, r.disguised) for r in known.pairs())
    return Pairs("simulated", found, {name: name for name in known.members})


@cache
def result() -> BenchmarkResult:
    models = fingerprints()
    return run(pairs(), command="kinprint benchmark --zoo here", open_model=models.__getitem__)


def broken(place: str) -> Fingerprint:
    """Opens everything but tuned1 and tuned2."""
    if place == "tuned1":
        raise CheckpointError(place, "is <damaged>", "get it again")
    if place == "tuned2":
        raise RuntimeError("a bug")
    return fingerprints()[place]
