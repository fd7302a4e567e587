"""Identification on a zoo: is the first relative a relative, do strangers get none, and would retrieval alone have found them?

    python benchmarks/identify.py --zoo DIR [--candidates 20] [--jobs 2] [--results FILE]

Descendants (models of whose line another model is there) are identified in the library of all other models of the zoo.
Right is a first relative that is related by the zoo's lineage: an ancestor, a descendant, or a model with a common
ancestor. Models that share nothing but the random initial weights with another are shown apart: the tests say "initial or
trained weights", and are right.

Strangers: every model that was trained from scratch, in the library without its line (and without those that share its
initial weights). Right is no relative.

The retrieval alone: rank of the nearest relative among all other models as `retrieve` ranks, and the same by one space
only. Here vectors are compared exactly; benchmarks/search.py measures the index. Results are kept in FILE as they come, and
a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from kinprint import Fingerprint, fingerprint
from kinprint.library.identify import identify, retrieve
from kinprint.library.parts import Query
from kinprint.library.spaces import DIMENSIONS
from kinprint.library.vectors import vectors
from kinprint.terms import CANDIDATES
from kinprint.zoo import Lineage


@cache
def models(zoo: Path) -> dict[str, Fingerprint]:
    return {name: fingerprint(zoo / name) for name in Lineage.read(zoo).members}


@cache
def own(zoo: Path, name: str) -> dict[str, np.ndarray]:
    return dict(vectors(models(zoo)[name]))


@dataclass(frozen=True)
class Named:
    digest: str


class Memory:
    """Some models of a zoo as a library: names are digests, vectors are compared exactly."""

    where = "memory"

    def __init__(self, zoo: Path, names: Iterable[str]) -> None:
        self.zoo, self.names = zoo, list(names)

    def __len__(self) -> int:
        return len(self.names)

    def models(self) -> list[Named]:
        return [Named(name) for name in self.names]

    def get(self, text: str, /) -> Fingerprint:
        return models(self.zoo)[text]

    def contents(self, digests: Iterable[str], /) -> dict[str, str]:
        return {name: content for name in digests if (content := models(self.zoo)[name].stated.content) is not None}

    def nearest(self, space: str, vector: ArrayLike, count: int, part: str = "") -> list[tuple[str, float]]:
        if part:  # a zoo of language models
            return []
        found = [(name, float(own(self.zoo, name)[space] @ vector)) for name in self.names if space in own(self.zoo, name)]
        return sorted(found, key=lambda pair: -pair[1])[:count]


def identified(zoo: Path, candidates: int, task: tuple[str, tuple[str, ...]]) -> dict[str, object]:
    """The JSON of one identification, with what was asked."""
    name, library = task
    found = identify(models(zoo)[name], Memory(zoo, library), candidates=candidates, test_all=True)
    return {"suspect": name, "library": len(library), "candidates": candidates, "found": found.to_json()}


def tasks(lineage: Lineage) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Of descendants and of strangers: suspect -> names of its library."""
    names = list(lineage.members)
    descendants, strangers = {}, {}
    for name in names:
        others = [other for other in names if other != name]
        truths = {other: lineage.relation(name, other).truth for other in others}
        if "related" in truths.values():
            descendants[name] = tuple(others)
        if not lineage.members[name].parents:
            strangers[name] = tuple(other for other in others if truths[other] == "unrelated")
    return descendants, strangers


def rank(zoo: Path, lineage: Lineage, name: str, spaces: Iterable[str]) -> int | None:
    """Of the best relative among all other models by vectors of some spaces; None if none has one there."""
    library = Memory(zoo, (other for other in lineage.members if other != name))
    looked = [Query("", space, value) for space, value in own(zoo, name).items() if space in spaces]
    found = retrieve(looked, library, len(library))
    ranks = [n for n, c in enumerate(found, 1) if lineage.relation(name, c.digest).truth == "related"]
    return min(ranks, default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("identify.jsonl"))
    options = parser.parse_args()
    lineage = Lineage.read(options.zoo)
    descendants, strangers = tasks(lineage)
    print(retrieval(options.zoo, lineage, list(descendants)), flush=True)
    done = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    have = {(row["suspect"], row["library"]) for row in done if row["candidates"] == options.candidates}
    wanted = [task for task in (*descendants.items(), *strangers.items()) if (task[0], len(task[1])) not in have]
    work: Callable[..., dict[str, object]] = partial(identified, options.zoo, options.candidates)
    with ProcessPoolExecutor(options.jobs) as pool, options.results.open("a") as file:
        for future in as_completed([pool.submit(work, task) for task in wanted]):
            file.write(json.dumps(future.result()) + "\n")
            file.flush()
    rows = [json.loads(line) for line in options.results.read_text().splitlines()]
    rows = [row for row in rows if row["candidates"] == options.candidates]
    print(report(lineage, rows, descendants, strangers))


def retrieval(zoo: Path, lineage: Lineage, names: list[str]) -> str:
    """How many of the models have a relative in the first 1, 5 and 10 by vectors, disguised models apart."""
    hidden = [name for name in names if _disguised(lineage, name)]
    lines = ["| retrieval by | models | first | in 5 | in 10 | disguised | first | in 5 | in 10 |", "|---|" + "---|" * 8]
    for title, spaces in [("all spaces", tuple(DIMENSIONS)), *((space, (space,)) for space in DIMENSIONS)]:
        ranks = {name: rank(zoo, lineage, name, spaces) for name in names}
        cells = []
        for group in (names, hidden):
            found = [r for name in group if (r := ranks[name]) is not None]
            cells += [str(len(found)), *(str(sum(r <= most for r in found)) for most in (1, 5, 10))]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(
    lineage: Lineage,
    rows: list[dict],  # type: ignore[type-arg]
    descendants: dict[str, tuple[str, ...]],
    strangers: dict[str, tuple[str, ...]],
) -> str:
    found = {(row["suspect"], row["library"]): row["found"] for row in rows}
    right, wrong, none, named, false_names, pairs = [], [], [], 0, 0, 0
    for name, library in descendants.items():
        relatives = found[name, len(library)]["relatives"]
        truths = [lineage.relation(name, item["digest"]).truth for item in relatives]
        named += len(truths)
        false_names += truths.count("unrelated")
        (none if not truths else right if truths[0] == "related" else wrong).append(name)
    accused = []
    for name, library in strangers.items():
        result = found[name, len(library)]
        pairs += result["tested"]
        if result["relatives"]:
            accused.append((name, result["relatives"][0]["name"]))
    disguised = [name for name in descendants if _disguised(lineage, name)]
    lines = [
        f"models with relatives: {len(descendants)}; first relative right: {len(right)}, wrong: {len(wrong)} {wrong}, "
        f"no relative: {len(none)} {none}",
        f"of them disguised: {len(disguised)}; first relative right: {sum(name in right for name in disguised)}",
        f"relatives named in all: {named}; not related by the lineage: {false_names}",
        f"strangers: {len(strangers)} in libraries without their line, {pairs} pairs tested; given a relative: "
        f"{len(accused)} {accused}",
    ]
    return "\n".join(lines)


def _disguised(lineage: Lineage, name: str) -> bool:
    return any(lineage.members[step].disguise for step in lineage._paths[name])


if __name__ == "__main__":
    main()
