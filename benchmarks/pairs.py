"""What a comparison costs from fingerprints at the sizes people have, as a ratio to one matrix product of the same run.

    python benchmarks/pairs.py [--pairs 8B/8B 8B/3B ...] [--by-method] [--json FILE] [--repeats 3]

Fingerprints are of random traits and lie in memory. `mm` is one product of two float32 matrices of 4096 x 4096, on the threads
that the comparison may use. `again` is the same pair a second time, when what belongs to one model is known.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import random_fingerprints
from random_models import Shape

from kinprint import Fingerprint
from kinprint.comparison import examine
from kinprint.methods import known

SHAPES = {
    "8B": Shape(4096, 32, 32, 8, 128, 14336, 128256),
    "3B": Shape(3072, 28, 24, 8, 128, 8192, 128256),
    "7B": Shape(3584, 28, 28, 4, 128, 18944, 152064),
    "135M": Shape(576, 30, 9, 3, 64, 1536, 49152),
    "70B": Shape(8192, 80, 64, 8, 128, 28672, 128256),
}
"""Llama 3.1 8B, Llama 3.2 3B, Qwen2.5 7B, SmolLM2 135M, Llama 3.1 70B."""

NOISE = 0.05
PAIRS = ("8B/8B", "8B/3B", "8B/7B", "8B/135M", "135M/8B", "8B/70B", "8B/8B copy")
WIDTH = 4096


def seconds(act: Callable[[], object], repeats: int = 1) -> tuple[float, float]:
    """Wall clock and processor time, the least of some."""
    best = (np.inf, np.inf)
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        act()
        best = min(best[0], time.perf_counter() - wall), min(best[1], time.process_time() - processor)
    return best


def product(repeats: int = 3) -> tuple[float, float]:
    """Of one matrix product."""
    chance = np.random.default_rng(0)
    one, other = (chance.standard_normal((WIDTH, WIDTH), dtype=np.float32) for _ in range(2))
    return seconds(lambda: one @ other, repeats)


def pair(text: str) -> tuple[Fingerprint, Fingerprint]:
    """The models of "SHAPE/SHAPE", strangers, or of "SHAPE/SHAPE copy"."""
    shapes, _, copied = text.partition(" ")
    ours, theirs = shapes.split("/")
    reference = random_fingerprints.fingerprint(f"{ours} (1)", SHAPES[ours], 1)
    if copied:
        return reference, random_fingerprints.relative(f"{theirs} (2)", reference, NOISE, 2)
    return reference, random_fingerprints.fingerprint(f"{theirs} (2)", SHAPES[theirs], 2)


def measured(text: str, repeats: int) -> dict[str, Any]:
    """A pair's times: the first comparison, each again with fingerprints of which nothing is kept, and one more of the last."""
    first, again = [], []
    for _ in range(repeats):
        models = pair(text)
        first.append(seconds(lambda models=models: examine(models)))
        again.append(seconds(lambda models=models: examine(models)))
    comparison = examine(models)
    return {
        "pair": text,
        "first": min(first),
        "again": min(again),
        "verdict": comparison.verdict,
        "log10_p": comparison.log10_p,
    }


def by_method(text: str) -> list[tuple[str, float]]:
    """Processor time of every method that says something, in the order in which they run."""
    models = pair(text)
    return [
        (method.name, seconds(lambda method=method: method(*models))[1])
        for method in known()
        if not method.deep and method.concerns(*models)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS))
    parser.add_argument("--by-method", action="store_true")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    examine(pair("135M/135M"))  # compiles what is compiled
    unit = product()
    rows = []
    print(f"mm: {unit[0]:.2f} s, {unit[1]:.2f} s of processor time\n")
    print(f"{'pair':<14}{'first, s':>10}{'mm':>8}{'processor':>11}{'again, s':>10}{'mm':>8}{'processor':>11}  verdict")
    for text in arguments.pairs:
        row = measured(text, arguments.repeats)
        rows.append(row)
        shown = "".join(
            f"{wall:>10.2f}{wall / unit[0]:>8.2f}{processor / unit[1]:>11.2f}"
            for wall, processor in (row["first"], row["again"])
        )
        print(f"{text:<14}{shown}  {row['verdict']}", flush=True)
        if arguments.by_method:
            print("".join(f"    {name:<24}{cost / unit[1]:>8.2f}\n" for name, cost in by_method(text) if cost > 0.01 * unit[1]))
    if arguments.json:
        arguments.json.write_text(json.dumps({"mm": unit, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
