"""Trees of a zoo's models against its lineage: `kinprint tree` beside the obvious alternatives, in one run.

    python benchmarks/tree.py --zoo zoo [--json figures.json]

Printed are: families (does the separation by tests equal that by lineage, is any stranger joined), topology (Robinson-Foulds
distance of each family's tree to the truth), neighbours (how many are parent and child), marks (how often each tells a parent
from its child, with Wilson's 95 % interval), merges, and seconds. Arrows are judged by `benchmarks/marks.py`.

The truth of a family is its lineage without merges, which have two parents: every branch of it divides the models in two.
Models that share initial weights only are joined at those. It has many branches at one point, for a base has many children,
while plain neighbour joining and clustering always divide in two: beside the distance stand true branches found and false ones.
Robinson and Foulds, 1981, normalised by the number of branches of both trees; branches to single models are not counted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from skbio import DistanceMatrix, TreeNode
from skbio.tree import nj

from kinprint import Fingerprint, fingerprint
from kinprint.library.trees import marks
from kinprint.library.trees.distances import by_position
from kinprint.library.trees.families import Families, families
from kinprint.library.trees.tree import Family, grown_from
from kinprint.methods import pcs
from kinprint.statistics import wilson
from kinprint.zoo import Lineage

Split = frozenset[str]


def cosine(a: Fingerprint, b: Fingerprint) -> float | None:
    """Of all sampled weights (PCS); None for models of different shape."""
    return pcs.METHOD(a, b).statistic


def cosine_by_role(a: Fingerprint, b: Fingerprint) -> float | None:
    found = by_position(a, b)
    return None if found is None else 1 - found.distance


ALTERNATIVES: Mapping[str, tuple[Callable[[Fingerprint, Fingerprint], float | None], Callable[[float], float]]] = {
    "1 - PCS": (cosine, lambda c: 1 - c),
    "-log PCS": (cosine, lambda c: -math.log(max(c, 1e-9))),
    "1 - cosine by role": (cosine_by_role, lambda c: 1 - c),
    "-log cosine by role": (cosine_by_role, lambda c: -math.log(max(c, 1e-9))),
    "angle by role": (cosine_by_role, lambda c: math.acos(min(max(c, -1.0), 1.0))),
}
"""Similarity, and the distance that is made of it. Pairs that cannot be compared count as far as orthogonal ones."""


def truth(lineage: Lineage, names: Sequence[str]) -> list[tuple[str, str]]:
    """Edges of the true tree: each model and its parent; models from scratch and the initial weights they began with."""
    return [
        (
            lineage.members[name].parents[0]
            if lineage.members[name].parents
            else f"initial {lineage.members[name].initialisation}",
            name,
        )
        for name in names
    ]


def divided(edges: Iterable[tuple[Any, Any]], names: Sequence[str]) -> set[Split]:
    """How each branch of a tree divides the models; only divisions with two on both sides. The side without the first name."""
    beside: dict[Any, set[Any]] = {}
    for a, b in edges:
        beside.setdefault(a, set()).add(b)
        beside.setdefault(b, set()).add(a)
    found = set()
    for a in beside:
        for b in beside[a]:
            side, waiting = {b}, [(b, a)]
            while waiting:
                node, above = waiting.pop()
                for other in beside[node] - {above}:
                    side.add(other)
                    waiting.append((other, node))
            split = frozenset(name for name in names if name in side)
            if names[0] not in split and 2 <= len(split) <= len(names) - 2:
                found.add(split)
    return found


def of_skbio(tree: TreeNode, names: Sequence[str]) -> set[Split]:
    return divided([(node.parent, node.name if node.is_tip() else node) for node in tree.postorder(include_self=False)], names)


def trees_of(models: Mapping[str, Fingerprint], names: Sequence[str]) -> dict[str, set[Split]]:
    """The divisions of one family's tree, by method."""
    grown = grown_from([models[name] for name in names], tuple(range(len(names))), lambda what, done, total: None)
    named = dict(enumerate(names))
    edges: list[tuple[Any, Any]] = [(named.get(e.a, e.a), named.get(e.b, e.b)) for e in grown.edges]
    spanning = [(names[pair.a], names[pair.b]) for pair in grown.neighbours]
    found = {"kinprint tree": divided(edges, names), "its minimum spanning tree": divided(spanning, names)}
    for name, (similarity, distance) in ALTERNATIVES.items():
        far = distance(0.0)
        matrix = np.zeros((len(names), len(names)))
        for i, j in itertools.combinations(range(len(names)), 2):
            value = similarity(models[names[i]], models[names[j]])
            matrix[i, j] = matrix[j, i] = far if value is None else max(min(distance(value), far), 0.0)
        if len(names) > 3:
            found[f"neighbour joining, {name}"] = of_skbio(nj(DistanceMatrix(matrix, names)), names)
            merged = linkage(squareform(matrix, checks=False), "average")
            found[f"UPGMA, {name}"] = of_skbio(TreeNode.from_linkage_matrix(merged, names), names)
    return found


def topology(lineage: Lineage, models: Mapping[str, Fingerprint], groups: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Robinson-Foulds distance by method, over all families of four models and more; with and without disguised models."""
    rows: dict[str, Any] = {}
    for kind, wanted in (("all", lambda m: True), ("no disguises", lambda m: not disguised(lineage, m))):
        for group in groups:
            names = [n for n in group if len(lineage.members[n].parents) < 2 and wanted(n)]
            if len(names) < 4:
                continue
            true = divided(truth(lineage, names), names)
            for method, splits in trees_of(models, names).items():
                row = rows.setdefault(kind, {}).setdefault(method, {"found": 0, "true": 0, "false": 0})
                row["found"] += len(true & splits)
                row["true"] += len(true)
                row["false"] += len(splits - true)
    for table in rows.values():
        for row in table.values():
            row["distance"] = (row["true"] - row["found"] + row["false"]) / max(row["true"] + row["found"] + row["false"], 1)
    return rows


def disguised(lineage: Lineage, name: str) -> bool:
    member = lineage.members[name]
    return member.disguise or any(disguised(lineage, parent) for parent in member.parents)


def parent_edges(lineage: Lineage) -> list[tuple[str, str]]:
    """(parent, child) of every model with a single parent."""
    return [(m.parents[0], m.name) for m in lineage.members.values() if len(m.parents) == 1]


def line(lineage: Lineage, name: str) -> str:
    """The line a model belongs to, by its first ancestor."""
    while lineage.members[name].parents:
        name = lineage.members[name].parents[0]
    return name


Mark = Callable[[Fingerprint, Fingerprint], float | None]
DRIFTS: Mapping[str, Mark] = {
    "gain drift": marks.gain_drift,
    "growth": marks.growth,
    "kurtosis up (MoTHer)": marks.kurtosis,
    "kurtosis down": lambda a, b: None if (value := marks.kurtosis(a, b)) is None else -value,
}


def judged(mark: Mark, models: Mapping[str, Fingerprint], edges: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """How often a mark calls the child the descendant, of how often it speaks."""
    values = [value for parent, child in edges if (value := mark(models[parent], models[child]))]
    return sum(value > 0 for value in values), len(values)


def mark_table(lineage: Lineage, models: Mapping[str, Fingerprint]) -> dict[str, Any]:
    edges = parent_edges(lineage)
    spoken: dict[str, list[int]] = {}
    for parent, child in edges:
        mark = marks.first_mark(models[parent], models[child])
        spoken.setdefault(mark[0] if mark else "none speaks", []).append(int(bool(mark and mark[1])))
    lines = sorted({line(lineage, child) for _, child in edges})
    held = [0, 0]
    for out in lines:  # the mark that is best on all other lines, on this one
        others = [edge for edge in edges if line(lineage, edge[1]) != out]
        rest = [edge for edge in edges if line(lineage, edge[1]) == out]
        best = max(DRIFTS, key=lambda name: (lambda r: r[0] / max(r[1], 1))(judged(DRIFTS[name], models, others)))
        for position, count in enumerate(judged(DRIFTS[best], models, rest)):
            held[position] += count
    return {
        "as asked": {name: (sum(values), len(values)) for name, values in sorted(spoken.items())},
        "each alone": {name: judged(mark, models, edges) for name, mark in {**marks.MARKS, **DRIFTS}.items()},
        "left out": tuple(held),
        "edges": len(edges),
    }


def separation(lineage: Lineage, names: Sequence[str], found: Families) -> dict[str, int]:
    """Pairs by truth, and how many of them ended up in one group."""
    group = {names[model]: number for number, members in enumerate(found.groups) for model in members}
    counts: dict[str, list[int]] = {}
    for relation in lineage.pairs():
        counts.setdefault(relation.truth, []).append(int(group[relation.reference] == group[relation.suspect]))
    return {f"{truth}: {name}": value for truth, v in counts.items() for name, value in (("pairs", len(v)), ("joined", sum(v)))}


def neighbour_table(lineage: Lineage, names: Sequence[str], grown: Sequence[Family]) -> dict[str, int]:
    edges = {frozenset((p, m.name)) for m in lineage.members.values() for p in m.parents}
    pairs = [frozenset((names[n.a], names[n.b])) for family in grown for n in family.neighbours]
    return {"neighbours": len(pairs), "parent and child": sum(pair in edges for pair in pairs)}


def merge_table(lineage: Lineage, names: Sequence[str], grown: Sequence[Family]) -> dict[str, int]:
    """Merges there are, shown, and shown with the right parents."""
    true = {m.name: frozenset(m.parents) for m in lineage.members.values() if len(m.parents) > 1}
    shown = {names[m.model]: frozenset(names[parent] for parent in m.parents) for family in grown for m in family.merges}
    right = sum(true.get(name) == parents for name, parents in shown.items())
    return {"merges": len(true), "shown": len(shown), "with the right parents": right}


def share(right: int, total: int) -> str:
    low, high = wilson(right, total)
    return f"{right} of {total} ({right / max(total, 1):.0%}; {low:.0%} to {high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="write all figures")
    arguments = parser.parse_args()
    lineage = Lineage.read(arguments.zoo)
    models = {name: fingerprint(arguments.zoo / name) for name in track(lineage.members, description="models")}
    names = list(models)

    figures: dict[str, Any] = {"marks": mark_table(lineage, models)}
    table = figures["marks"]
    print(f"Marks, {table['edges']} pairs of parent and child, right of those where the mark speaks\n")
    for kind in ("as asked", "each alone"):
        for name, counts in table[kind].items():
            print(f"| {kind} | {name} | {share(*counts)} |")
    print(f"| leave one line out | best drift on the others | {share(*table['left out'])} |\n", flush=True)
    start = time.perf_counter()
    found = families(list(models.values()), progress=lambda what, done, total: None)
    tested = time.perf_counter()
    grown = [grown_from(list(models.values()), g, lambda what, done, total: None) for g in found.groups if len(g) > 1]
    figures["seconds"] = {
        "models": len(names),
        "tests": tested - start,
        "pairs tested": found.tested,
        "trees": time.perf_counter() - tested,
    }
    figures["families"] = separation(lineage, names, found)
    figures["neighbours"] = neighbour_table(lineage, names, grown)
    figures["merges"] = merge_table(lineage, names, grown)
    for title in ("families", "neighbours", "merges", "seconds"):
        print(f"{title}: " + ", ".join(f"{k} {v:.0f}" for k, v in figures[title].items()), flush=True)

    figures["topology"] = topology(lineage, models, [[names[model] for model in group] for group in found.groups])
    print("\n| models | tree | Robinson-Foulds | true branches found | false branches |\n|---|---|---|---|---|")
    for kind, rows in figures["topology"].items():
        for method, row in rows.items():
            print(f"| {kind} | {method} | {row['distance']:.2f} | {row['found']} of {row['true']} | {row['false']} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
