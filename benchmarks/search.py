"""Search in libraries of up to a million models: recall, time and memory as they grow, beside exact brute force in numpy.

    python benchmarks/search.py --zoo DIR --data DIR [--sizes 1000 1000000] [--figure docs/search.svg]

The vectors are synthetic, their statistics those of the zoo's: in every space strangers' cosines have the mean and the
spread measured between models of different lines, relatives' cosines are those of a real pair of ancestor and descendant,
drawn at random, in all spaces together, disguised ones included. Each library holds the ancestors of 1 000 planted
relatives; all that are in the first 10 of `kinprint.library.identify.retrieve` are found. Pairs that the tests would not
call related in a library of that size are counted apart. Every size runs in a process of its own; memory is that of the
process while it opens and searches.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinprint import fingerprint
from kinprint.comparison import ALPHA, examine
from kinprint.library import Library, records
from kinprint.library.identify import retrieve
from kinprint.library.parts import Query
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import vectors
from kinprint.methods import known
from kinprint.zoo import Lineage

Array = NDArray[np.float32]

PLANTED, FOUND_IN = 1000, 10
BATCH = 20_000


def statistics(zoo: Path) -> dict[str, object]:
    """Mean and standard deviation of strangers' cosines by space; cosines and log10 p of every ancestor and descendant."""
    lineage, tests = Lineage.read(zoo), [method for method in known() if method.kind == "test" and not method.deep]
    models = {name: fingerprint(zoo / name) for name in lineage.members}
    found = {name: vectors(model) for name, model in models.items()}
    strangers: dict[str, list[float]] = {space: [] for space in DIMENSIONS}
    relatives = []
    for relation in lineage.pairs():
        ours, theirs = found[relation.reference], found[relation.suspect]
        cosines = {space: float(ours[space] @ theirs[space]) for space in DIMENSIONS if space in ours and space in theirs}
        if relation.truth == "unrelated":
            for space, cosine in cosines.items():
                strangers[space].append(cosine)
        elif relation.truth == "related" and relation.kind != "relatives":
            decided = examine((models[relation.reference], models[relation.suspect]), methods=tests).log10_p
            relatives.append({"cosines": cosines, "log10_p": decided, "kind": relation.kind, "disguised": relation.disguised})
    spread = {space: (float(np.mean(values)), float(np.std(values))) for space, values in strangers.items()}
    return {"strangers": spread, "relatives": relatives}


class Simulated:
    """Vectors with the statistics of real ones."""

    def __init__(self, measured: dict[str, object], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.strangers: dict[str, tuple[float, float]] = measured["strangers"]  # type: ignore[assignment]
        self.relatives: list[dict[str, object]] = measured["relatives"]  # type: ignore[assignment]
        rng = np.random.default_rng(0)
        self.common = {space: _units(rng.normal(size=(1, count)).astype(np.float32))[0] for space, count in DIMENSIONS.items()}
        self.scales = {space: _scales(DIMENSIONS[space], sd) for space, (_, sd) in self.strangers.items()}

    def models(self, space: str, count: int) -> Array:
        """(count, dimensions) unit vectors of strangers: a common part for the mean cosine, unequal axes for the spread."""
        own = self.rng.standard_normal((count, DIMENSIONS[space]), dtype=np.float32) * self.scales[space]
        mean = max(self.strangers[space][0], 0.0)
        return _units(math.sqrt(mean) * self.common[space] + math.sqrt(1 - mean) * _units(own))

    def descendants(self, ancestors: dict[str, Array]) -> tuple[list[dict[str, Array]], list[dict[str, object]]]:
        """For every ancestor the vectors of a relative at the cosines of a real pair, and that pair."""
        pairs = [self.relatives[number] for number in self.rng.integers(0, len(self.relatives), len(ancestors["channels"]))]
        others = {space: self.models(space, len(pairs)) for space in DIMENSIONS}
        found = []
        for number, pair in enumerate(pairs):
            cosines: dict[str, float] = pair["cosines"]  # type: ignore[assignment]
            found.append(
                {space: _at(ancestors[space][number], others[space][number], cosine) for space, cosine in cosines.items()}
            )
        return found, pairs


def _scales(dimensions: int, spread: float) -> Array:
    """Standard deviations of axes, falling exponentially as fast as gives independent unit vectors cosines of this spread."""
    axes = np.linspace(0, 1, dimensions)
    rates = np.linspace(0, 20, 2001)
    variances = np.exp(-np.outer(rates, axes))
    spreads = np.sqrt((variances**2).sum(axis=1)) / variances.sum(axis=1)
    return np.sqrt(variances[np.abs(spreads - spread).argmin()]).astype(np.float32)


def _units(vectors_: Array) -> Array:
    return vectors_ / np.linalg.norm(vectors_, axis=1, keepdims=True)


def _at(ancestor: Array, other: Array, cosine: float) -> Array:
    """A unit vector at a given cosine to the first, towards the second."""
    aside = other - (other @ ancestor) * ancestor
    return (cosine * ancestor + math.sqrt(max(1 - cosine**2, 0.0)) * aside / np.linalg.norm(aside)).astype(np.float32)


def build(folder: Path, count: int, measured: dict[str, object]) -> dict[str, float]:
    """A library of `count` models, without fingerprints, and the queries beside it."""
    import pyarrow as pa

    simulated = Simulated(measured, count)
    ancestors: dict[str, Array] = {}
    places = np.sort(np.random.default_rng(1).choice(count, min(PLANTED, count), replace=False))
    library = Library.open(folder / "library", create=True)
    table, schema = library._table("models"), records.models_schema()
    kept: dict[str, list[Array]] = {space: [] for space in DIMENSIONS}
    for start in range(0, count, BATCH):
        rows = min(BATCH, count - start)
        columns = {field.name: plain(field, start, rows) for field in schema if not field.name.startswith(records.VECTOR)}
        for space, length in DIMENSIONS.items():
            values = simulated.models(space, rows)
            kept[space].append(values[places[(places >= start) & (places < start + rows)] - start])
            values.tofile(folder / f"{space}.{start:08d}.f32")
            columns[records.VECTOR + space] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), length)
        table.add(pa.table([columns[field.name] for field in schema], schema=schema))
    ancestors = {space: np.concatenate(parts) for space, parts in kept.items()}
    queries, pairs = simulated.descendants(ancestors)
    begun = time.perf_counter()
    library.optimize()
    np.savez(
        folder / "queries.npz", **{f"{number}.{space}": v for number, own in enumerate(queries) for space, v in own.items()}
    )
    told = {"places": places.tolist(), "pairs": pairs}
    (folder / "planted.json").write_text(json.dumps(told))
    return {"optimize_s": time.perf_counter() - begun}


def plain(field: object, start: int, rows: int) -> object:
    """The columns that are no vectors."""
    import pyarrow as pa

    name, kind = field.name, field.type  # type: ignore[attr-defined]
    if name == "digest":
        return pa.array([f"{number:064x}" for number in range(start, start + rows)])
    if pa.types.is_timestamp(kind):
        return pa.array([0] * rows, pa.int64()).cast(kind)
    return (
        pa.array(["{}" if name.endswith("_json") else "synthetic"] * rows)
        if kind == pa.string()
        else pa.array([0] * rows).cast(kind)
    )


def search(folder: Path, count: int) -> dict[str, object]:
    """Recall, times and memory of `retrieve` on the planted relatives."""
    told = json.loads((folder / "planted.json").read_text())
    queries: list[list[Query]] = [[] for _ in told["places"]]
    with np.load(folder / "queries.npz") as stored:
        for key in stored.files:
            number, space = key.split(".")
            queries[int(number)].append(Query("", space, stored[key]))
    begun = time.perf_counter()
    library = Library.open(folder / "library")
    for own in queries[:5]:  # opens the indexes
        retrieve(own, library, FOUND_IN)
    opened = time.perf_counter() - begun
    seconds, used, hits = [], [], []
    for own, place in zip(queries, told["places"], strict=True):
        begun, worked = time.perf_counter(), time.process_time()
        found = retrieve(own, library, FOUND_IN)
        seconds.append(time.perf_counter() - begun)
        used.append(time.process_time() - worked)
        hits.append(f"{place:064x}" in [candidate.digest for candidate in found])
    decided = [(pair["log10_p"] or 0) + math.log10(count) <= math.log10(ALPHA) for pair in told["pairs"]]
    disguised = [pair["disguised"] for pair in told["pairs"]]
    hit, yes, hidden = np.array(hits), np.array(decided), np.array(disguised)
    return {
        "models": count,
        "open_s": opened,
        "p50_ms": 1e3 * float(np.percentile(seconds, 50)),
        "p99_ms": 1e3 * float(np.percentile(seconds, 99)),
        "cpu_p50_ms": 1e3 * float(np.percentile(used, 50)),
        "cpu_p99_ms": 1e3 * float(np.percentile(used, 99)),
        "recall": float(hit[yes].mean()),
        "recall_disguised": float(hit[yes & hidden].mean()),
        "decidable": int(yes.sum()),
        "recall_all": float(hit.mean()),
        "planted": len(hits),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "load": os.getloadavg()[0],
    }


def brute(folder: Path, count: int) -> dict[str, object]:
    """The same by a matrix product in memory, every space in turn, on 20 of the queries."""
    told = json.loads((folder / "planted.json").read_text())
    matrices = {}
    for space, length in DIMENSIONS.items():
        matrix = np.empty((count, length), np.float32)
        at = 0
        for file in sorted(folder.glob(f"{space}.*.f32")):
            part = np.fromfile(file, np.float32).reshape(-1, length)
            matrix[at : at + len(part)] = part
            at += len(part)
        matrices[space] = matrix
    seconds, hits = [], []
    with np.load(folder / "queries.npz") as stored:
        for number in range(0, len(told["places"]), max(len(told["places"]) // 20, 1)):
            own = {space: stored[f"{number}.{space}"] for space in DIMENSIONS if f"{number}.{space}" in stored}
            begun = time.perf_counter()
            best: dict[int, float] = {}
            for space, vector in own.items():
                cosines = matrices[space] @ vector
                for place in np.argpartition(cosines, -FOUND_IN)[-FOUND_IN:]:
                    strength = float(cosines[place]) * math.sqrt(DIMENSIONS[space])
                    best[int(place)] = max(best.get(int(place), 0.0), strength)
            found = sorted(best, key=lambda place: -best[place])[:FOUND_IN]
            seconds.append(time.perf_counter() - begun)
            hits.append(told["places"][number] in found)
    return {
        "brute_p50_ms": 1e3 * float(np.percentile(seconds, 50)),
        "brute_recall_all": float(np.mean(hits)),
        "brute_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, help="zoo whose statistics are taken")
    parser.add_argument("--data", type=Path, required=True, help="folder for the libraries (7 GB for a million models)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--figure", type=Path, help="where to draw time and memory over size")
    parser.add_argument("--step", choices=["build", "search", "brute"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    told = options.data / "statistics.json"
    if options.step:
        count = options.sizes[0]
        folder = options.data / str(count)
        steps = {"build": lambda: build(folder, count, json.loads(told.read_text()))}
        steps |= {"search": lambda: search(folder, count), "brute": lambda: brute(folder, count)}
        print(json.dumps(steps[options.step]()))
        return
    if not told.exists():
        told.write_text(json.dumps(statistics(options.zoo)))
    for count in options.sizes:
        folder = options.data / str(count)
        result: dict[str, object] = {}
        for step in ("build", "search", "brute"):
            if step == "build" and (folder / "planted.json").exists():
                continue
            folder.mkdir(exist_ok=True)
            command = [sys.executable, __file__, "--data", str(options.data), "--sizes", str(count), "--step", step]
            result |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        (folder / "result.json").write_text(json.dumps(result))
        print(json.dumps(result), flush=True)
    rows = [json.loads(file.read_text()) for file in options.data.glob("*/result.json")]
    rows.sort(key=lambda row: row["models"])
    print(table(rows))
    if options.figure:
        options.figure.write_text(figure(rows))


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| models | recall@10 | of disguised ones | of all planted | p50, ms | p99, ms | memory, MiB "
        "| brute force p50, ms | memory, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row['models']:,}"] + [f"{row[key]:.3f}" for key in ("recall", "recall_disguised", "recall_all")]
        cells += [f"{row[key]:.0f}" for key in ("p50_ms", "p99_ms", "memory_mib", "brute_p50_ms", "brute_memory_mib")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(rows: list[dict[str, object]]) -> str:
    """Two panels, time and memory over the number of models, both axes logarithmic, as SVG text."""
    style = (
        ".sheet{fill:#fff} text{fill:#222;font:13px system-ui,sans-serif} .small{font-size:11px} .grid{stroke:#8883}"
        " @media (prefers-color-scheme:dark){.sheet{fill:#16181c} text{fill:#e4e4e4}}"
    )
    panels = (
        ("Time of a search, ms", (("p50_ms", "p50", "#2274a5", ""), ("p99_ms", "p99", "#2274a5", "4 4"),
                                  ("brute_p50_ms", "brute force, p50", "#d1495b", ""))),
        ("Memory of the process, MiB", (("memory_mib", "search", "#2274a5", ""),
                                        ("brute_memory_mib", "brute force", "#d1495b", ""))),
    )  # fmt: skip
    body = []
    for number, (title, curves) in enumerate(panels):
        values = [float(row[key]) for row in rows for key, *_ in curves]  # type: ignore[arg-type]
        decades = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
        sizes = [math.log10(float(row["models"])) for row in rows]  # type: ignore[arg-type]
        body.append(_panel(70 + 400 * number, title, curves, rows, (sizes[0], max(sizes[-1], sizes[0] + 1)), decades))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 330" role="img" aria-label="Search in growing libraries">'
        f'<style>{style}</style><rect class="sheet" width="820" height="330"/>{"".join(body)}</svg>\n'
    )


def _panel(left, title, curves, rows, sizes, decades) -> str:  # type: ignore[no-untyped-def]
    def place(models: float, value: float) -> tuple[float, float]:
        across = (math.log10(models) - sizes[0]) / (sizes[1] - sizes[0])
        up = (math.log10(value) - decades[0]) / (decades[1] - decades[0])
        return left + 310 * across, 250 - 200 * up

    found = [f'<text x="{left}" y="30">{title}</text>']
    for decade in range(decades[0], decades[1] + 1):
        y = place(10 ** sizes[0], 10**decade)[1]
        found.append(f'<line class="grid" x1="{left}" x2="{left + 310}" y1="{y}" y2="{y}"/>')
        found.append(f'<text class="small" x="{left - 6}" y="{y + 4}" text-anchor="end">{10**decade:,}</text>')
    for row in rows:
        x = place(row["models"], 10 ** decades[0])[0]
        found.append(f'<text class="small" x="{x}" y="268" text-anchor="middle">{row["models"]:,}</text>')
    for number, (key, name, colour, dash) in enumerate(curves):
        points = [place(row["models"], row[key]) for row in rows]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        look = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        found.append(f'<polyline points="{line}" {look}/>')
        found += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        found.append(f'<line x1="{left + 110 * number}" x2="{left + 110 * number + 22}" y1="300" y2="300" {look}/>')
        found.append(f'<text class="small" x="{left + 110 * number + 28}" y="304">{name}</text>')
    found.append(f'<text class="small" x="{left + 155}" y="284" text-anchor="middle">models</text>')
    return "".join(found)


if __name__ == "__main__":
    main()
