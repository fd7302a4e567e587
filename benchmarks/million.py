"""`identify` in a library of a million models: where its time goes, and what its index finds.

    OMP_NUM_THREADS=1 python benchmarks/million.py --folder /tmp/million [--models 1000000]

The library holds random unit vectors, which have no fingerprints, and `REAL` fingerprints of random traits in the shape of
Llama 3.1 8B: a base of the suspect and strangers to it. So that the candidates can be tested, the strangers' vectors are moved
to a cosine of 0.6 with the suspect's in every space. A library that is there already is used again; one of a million
models takes 7 GB.

Times are of the processor, as ratios to one product of two 4096 x 4096 float32 matrices in the same run. `first` is a
process that has just opened the library, `again` a second suspect of the same family in that process.

Recall is of the vectors nearest to a random direction, which is harder than any search for a relative: the best of a
million strangers lie close together. *Exact* are the `candidates` largest cosines by a matrix product over all vectors.
*Planted* are stored vectors, found from a direction at a cosine of so many standard deviations of strangers' cosines.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import random_fingerprints
from numpy.typing import NDArray
from pairs import product
from search import plain
from search_cost import LLAMA_3_8B, NOISE, strangers, warm_up

from kinprint import Library, identify
from kinprint.fingerprints import Fingerprint
from kinprint.library import identify as identifying
from kinprint.library import records, store
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import vectors

Array = NDArray[np.float32]

BATCH = 20_000
REAL, NEAR = 25, 0.6
QUERIES = 50
PLANTED = (5.5, 6.5, 8.0)
"""In standard deviations: the nearest of a million strangers lies at 5."""


def units(rng: np.random.Generator, count: int, length: int) -> Array:
    values = rng.standard_normal((count, length), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def stored(space: str, count: int) -> Iterator[tuple[int, Array]]:
    """The random vectors of a space, in batches, each with the number of its first model: the same at every call."""
    for start in range(0, count, BATCH):
        rng = np.random.default_rng([start, list(DIMENSIONS).index(space)])
        yield start, units(rng, min(BATCH, count - start), DIMENSIONS[space])


def at(cosine: float, direction: Array, other: Array) -> Array:
    """A unit vector at a cosine to a direction, towards another."""
    aside = other - (other @ direction) * direction
    return (cosine * direction + math.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)).astype(np.float32)


def family() -> tuple[Fingerprint, list[Fingerprint]]:
    """A base, and two suspects that descend from it."""
    base = random_fingerprints.fingerprint("base", LLAMA_3_8B, 1_000_000)
    return base, [random_fingerprints.relative(f"suspect {n}", base, NOISE, 1_000_000 + n) for n in (1, 2)]


def build(folder: Path, count: int) -> float:
    """Fill the library; seconds of the processor that `optimize` takes, which builds the index."""
    import pyarrow as pa

    library = Library.open(folder, create=True)
    base, (suspect, _) = family()
    directions = vectors(suspect)
    for number, model in enumerate([base, *strangers(LLAMA_3_8B, REAL - 1)]):
        data = records.data_of(model)
        row = records.row(model, len(data))
        for space, direction in directions.items() if number else ():
            row[records.VECTOR + space] = at(NEAR, direction, row[records.VECTOR + space])
        library._commit([store._Entry(row, [], data)])
    table, schema = library._table("models"), records.models_schema()
    for start, *batches in zip(range(0, count, BATCH), *(stored(space, count) for space in DIMENSIONS), strict=True):
        rows = len(batches[0][1])
        columns = {field.name: plain(field, start, rows) for field in schema if not field.name.startswith(records.VECTOR)}
        for (space, length), (_, values) in zip(DIMENSIONS.items(), batches, strict=True):
            columns[records.VECTOR + space] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), length)
        table.add(pa.table([columns[field.name] for field in schema], schema=schema))
    begun = time.process_time()
    library.optimize()
    return time.process_time() - begun


class Parts:
    """Seconds of the processor by what was done; what is called inside another part counts for the inner one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[float] = []

    @contextmanager
    def timed(self, owner: Any, name: str, part: str) -> Iterator[None]:
        """Count every call of a function of `owner` as `part`."""
        before: Callable[..., Any] = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            begun = time.process_time()
            self._open.append(0.0)
            try:
                return before(*arguments, **options)
            finally:
                took = time.process_time() - begun
                self.seconds[part] = self.seconds.get(part, 0.0) + took - self._open.pop()
                if self._open:
                    self._open[-1] += took

        setattr(owner, name, counted)
        try:
            yield
        finally:
            setattr(owner, name, before)


PARTS = (
    (Library, "open", "open the library"),
    (identifying, "queries", "vectors of the suspect"),
    (Library, "__len__", "count the models"),
    (Library, "nearest", "search vectors"),
    (Library, "contents", "digests of the candidates' weights"),
    (Library, "get", "load fingerprints"),
    (identifying, "examine", "tests"),
)


def identified(folder: Path, suspects: list[Fingerprint], candidates: int, models: int) -> list[dict[str, float]]:
    """Seconds by part, of every suspect in turn."""
    found = []
    opened: list[Library] = []
    for suspect in suspects:
        parts, begun, wall = Parts(), time.process_time(), time.perf_counter()
        managers = [parts.timed(owner, name, part) for owner, name, part in PARTS if name != "open"]
        for manager in managers:
            manager.__enter__()
        if not opened:
            opened.append(Library.open(folder))
            parts.seconds["open the library"] = time.process_time() - begun
        result = identify(suspect, opened[0], candidates=candidates, cache=False)
        for manager in reversed(managers):
            manager.__exit__(None, None, None)
        total = time.process_time() - begun
        if [item.name for item in result.relatives] != ["base"] or result.searched != models + REAL:
            raise SystemExit(f"wrong: {[item.name for item in result.relatives]} among {result.searched}")
        if result.unreadable or len(result.findings) != candidates:
            raise SystemExit(f"{len(result.findings)} candidates were tested, {len(result.unreadable)} had no fingerprint")
        rest = total - sum(parts.seconds.values())
        found.append({**parts.seconds, "the rest": rest, "all": total, "wall": time.perf_counter() - wall})
    return found


def recall(folder: Path, count: int, candidates: int) -> dict[str, dict[str, float]]:
    """Space -> share of the exact nearest that the library finds, and of planted ones by their strength; and its time."""
    library = Library.open(folder)
    table = {}
    for space, length in DIMENSIONS.items():
        rng = np.random.default_rng(7)
        directions = units(rng, QUERIES, length)
        aims = rng.integers(0, count, QUERIES)
        best = np.full((QUERIES, 0), 0.0, np.float32)
        names = np.full((QUERIES, 0), 0)
        targets = np.zeros((QUERIES, length), np.float32)
        for start, values in stored(space, count):
            best = np.concatenate([best, directions @ values.T], axis=1)
            names = np.concatenate([names, np.tile(np.arange(start, start + len(values)), (QUERIES, 1))], axis=1)
            order = np.argsort(-best, axis=1)[:, :candidates]
            best, names = np.take_along_axis(best, order, 1), np.take_along_axis(names, order, 1)
            here = (aims >= start) & (aims < start + len(values))
            targets[here] = values[aims[here] - start]
        own: dict[str, float] = {}
        begun = time.process_time()
        hits = []
        for direction, exact in zip(directions, names, strict=True):
            found = {digest for digest, _ in library.nearest(space, direction, candidates)}
            hits.append(np.mean([f"{number:064x}" in found for number in exact]))
        own["ms"] = 1e3 * (time.process_time() - begun) / QUERIES
        own["exact"] = float(np.mean(hits))
        for strength in PLANTED:
            looked = [
                at(strength / math.sqrt(length), target, other) for target, other in zip(targets, directions, strict=True)
            ]
            found_there = [dict(library.nearest(space, query, candidates)) for query in looked]
            own[f"{strength:g} sd"] = float(np.mean([f"{aim:064x}" in f for aim, f in zip(aims, found_there, strict=True)]))
        table[space] = own
        print("| " + " | ".join([f"`{space}`", *(f"{value:.3f}" for value in own.values())]) + " |", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="of the library")
    parser.add_argument("--models", type=int, default=1_000_000)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--refined", type=int, help="as kinprint.library.store.REFINED")
    parser.add_argument("--without-recall", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    store.REFINED = options.refined or store.REFINED
    warm_up()
    one = product()[1]
    told: dict[str, Any] = {"product": one}
    print(f"one product: {one:.2f} s")
    library = options.folder / "library"
    if not (options.folder / "complete").exists():
        told["optimize"] = build(library, options.models)
        (options.folder / "complete").write_text("")
        print(f"optimize: {told['optimize'] / one:.0f} products")
    told["identify"] = identified(library, family()[1], options.candidates, options.models)
    print("\n| part | first, products | seconds | again, products | seconds |\n|---|---|---|---|---|")
    first, again = told["identify"]
    for part in first:
        cells = (f"{each.get(part, 0.0) / one:.2f} | {each.get(part, 0.0):.2f}" for each in (first, again))
        print(f"| {part} | {' | '.join(cells)} |")
    print(f"\nmemory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if not options.without_recall:
        print(f"\n| space | ms a search | exact | {' | '.join(f'planted, {each:g} sd' for each in PLANTED)} |")
        print("|---|---|---|" + "---|" * len(PLANTED))
        told["recall"] = recall(library, options.models, options.candidates)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
