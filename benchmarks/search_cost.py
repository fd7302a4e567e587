"""What the searches of a library cost, on fingerprints of random traits in the shapes of known models.

    python benchmarks/search_cost.py [--only identify-itself ...] [--many 200] [--json FILE]

| case | what is done |
|---|---|
| `identify-itself` | a model of 135M shape in a library of 12 that holds it |
| `identify-twenty` | a model of 8B shape in a library of 21 of that shape, 20 of which are tested, one of them a relative |
| `tree-twelve` | the tree of 12 models: three of 135M shape, two of them relatives, and nine small ones |
| `tree-many` | the tree of `--many` models of 7B shape from a library, ten of them one family (28 MB a model) |
| `add-ten` | ten fingerprints of 7B shape are added to a library |

Each search is made twice: `again` has what the first one kept. Times are of the processor, as ratios to one product of two
4096 x 4096 float32 matrices in the same run, so that machines can be compared; run it with one thread ($OMP_NUM_THREADS=1).
Beside them stand the pairs that were tested and the fingerprints that were loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import random_fingerprints
from random_models import Shape

from kinprint import Library, identify, tree
from kinprint.comparison import comparison
from kinprint.fingerprints import Fingerprint
from kinprint.methods import Method

SMALL = Shape(256, 6, 4, 2, 64, 704, 8192)
SMOLLM2_135M = Shape(576, 30, 9, 3, 64, 1536, 49152, tied=True)
LLAMA_2_7B = Shape(4096, 32, 32, 32, 128, 11008, 32000)
LLAMA_3_8B = Shape(4096, 32, 32, 8, 128, 14336, 128256)

NOISE = 0.05
"""Of relatives, in standard deviations."""


@dataclass
class Cost:
    """Of one search: seconds of the processor, pairs that a method was asked about, fingerprints that were loaded."""

    seconds: float = 0.0
    pairs: int = 0
    loaded: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    cost = Cost()
    ask, load, asked = Method.__call__, Library._load, set[tuple[str, str]]()

    def asking(self: Method, *models: Any) -> Any:
        asked.add((models[0].digest, models[1].digest))
        return ask(self, *models)

    def loading(self: Library, digest: str) -> Fingerprint:
        cost.loaded += 1
        return load(self, digest)

    Method.__call__, Library._load = asking, loading  # type: ignore[method-assign]
    start = time.process_time()
    try:
        yield cost
    finally:
        cost.seconds = time.process_time() - start
        cost.pairs = len(asked)
        Method.__call__, Library._load = ask, load  # type: ignore[method-assign]


def strangers(shape: Shape, count: int, first: int = 0) -> Iterator[Fingerprint]:
    for number in range(first, first + count):
        yield random_fingerprints.fingerprint(f"stranger {number}", shape, number)


def relatives(shape: Shape, count: int) -> Iterator[Fingerprint]:
    """A model, and descendants of it."""
    base = random_fingerprints.fingerprint("base", shape, 1_000_000)
    yield base
    for number in range(1, count):
        yield random_fingerprints.relative(f"descendant {number}", base, NOISE, 1_000_000 + number)


Search = Callable[[], object]


def identify_itself(library: Library) -> Search:
    library.add(strangers(SMOLLM2_135M, 12))
    (suspect,) = strangers(SMOLLM2_135M, 1)
    return lambda: identify(suspect, library)


def identify_twenty(library: Library) -> Search:
    base, suspect = relatives(LLAMA_3_8B, 2)
    library.add([base])
    library.add(strangers(LLAMA_3_8B, 20))
    return lambda: identify(suspect, library)


def tree_twelve(library: Library) -> Search:
    library.add(relatives(SMOLLM2_135M, 2))
    library.add(strangers(SMOLLM2_135M, 1))
    library.add(strangers(SMALL, 9, first=1))
    return lambda: tree(library=library)


def tree_many(library: Library, count: int) -> Search:
    library.add(relatives(LLAMA_2_7B, 10))
    library.add(strangers(LLAMA_2_7B, count - 10))
    return lambda: tree(library=library)


def add_ten(library: Library) -> Search:
    models = list(strangers(LLAMA_2_7B, 10))
    return lambda: library.add(models)


CASES: dict[str, Callable[[Library], Search]] = {
    "identify-itself": identify_itself,
    "identify-twenty": identify_twenty,
    "tree-twelve": tree_twelve,
    "add-ten": add_ten,
}


def product() -> float:
    """Seconds of the processor for one product of two 4096 x 4096 float32 matrices: the best of three."""
    a = np.random.default_rng(0).standard_normal((4096, 4096), dtype=np.float32)
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return float(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*CASES, "tree-many"], default=[*CASES, "tree-many"])
    parser.add_argument("--many", type=int, default=200, help="models of tree-many")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warm_up()
    one = product()
    print(f"one product: {one:.2f} s\n\n| case | products | seconds | pairs | loaded |\n|---|---|---|---|---|")
    rows = []
    cases = {**CASES, "tree-many": partial(tree_many, count=options.many)}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["KINPRINT_CACHE"] = f"{folder}/cache"
            search = cases[name](Library.open(f"{folder}/library", create=True))
            for title in (name, f"{name}, again"):
                with measured() as cost:
                    search()
                rows.append({"case": title, "products": cost.seconds / one, **vars(cost)})
                print(f"| {title} | {cost.seconds / one:.1f} | {cost.seconds:.2f} | {cost.pairs} | {cost.loaded} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def warm_up() -> None:
    """Compile, or load, what compares a pair: it costs the first pair of a process alone."""
    comparison.examine(tuple(relatives(SMALL, 2)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
