"""Arrows of `kinprint tree` against recorded lineage: how many are drawn, and how many of those are true.

    python benchmarks/directions.py ZOO... [--fewer 8] [--calibration src/kinprint/library/descent/measured.json]

An arrow says "this one descends from that one". It is true if the lineage has that one among the ancestors of this one, the
wrong way if it is the other way about, and else the two descend from a third (siblings) or share initial weights alone (start).
Arrows are counted on the whole zoo, and on families of which only some members are there: `--fewer` draws, each of half of a
family's members, so that ancestors are missing as they are among real models.

The first table is of the marks alone: the first mark that speaks, on every two neighbours. That was the rule before. The next
are of geometry (`betweenness.py`), which is no better; then come those of the steps that cannot be undone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from betweenness import between
from scipy.cluster.hierarchy import DisjointSet

from kinprint import Fingerprint, fingerprint
from kinprint.comparison.identity import sameness
from kinprint.library.descent.arrows import FORMAT, arrows, claims
from kinprint.library.trees import marks
from kinprint.library.trees.tree import Family, grown_from
from kinprint.statistics import wilson
from kinprint.zoo import Lineage

TRUTHS = ("true", "wrong way", "siblings", "same start", "strangers")
Arrow = tuple[str, str, str]
"""Rule, ancestor, descendant."""


def truth(lineage: Lineage, models: Mapping[str, Fingerprint], ancestor: str, descendant: str) -> str:
    """What the lineage says of an arrow; of an arrow from a model that holds a true ancestor's weights, the same."""
    relation = lineage.relation(ancestor, descendant)
    if relation.kind == "relatives" and any(
        lineage.relation(name, descendant).reference == name
        and lineage.relation(name, descendant).kind != "relatives"
        and sameness(models[name], models[ancestor]).weights
        for name in models
        if name not in (ancestor, descendant) and lineage.relation(name, descendant).truth == "related"
    ):
        return "true"
    if relation.truth == "unrelated":
        return "strangers"
    if relation.truth == "shared-initialisation":
        return "same start"
    if relation.kind == "relatives":
        return "siblings"
    return "true" if relation.reference == ancestor else "wrong way"


def by_marks(models: Mapping[str, Fingerprint], names: Sequence[str], family: Family) -> Iterator[Arrow]:
    """The rule before: of every two neighbours, what the first mark that speaks says."""
    for pair in family.neighbours:
        a, b = names[pair.a], names[pair.b]
        mark = marks.first_mark(models[a], models[b])
        if mark is not None:
            yield (mark[0], a, b) if mark[1] else (mark[0], b, a)


def claimed(models: Mapping[str, Fingerprint], names: Sequence[str], family: Family) -> Iterator[Arrow]:
    """What the rules say now; `kinprint tree` draws those whose interval begins high enough."""
    merges = [(merge.model, merge.parents) for merge in family.merges if merge.told]
    for ancestor, descendant, rule in claims(list(models.values()), family.models, merges):
        yield rule, names[ancestor], names[descendant]


NOW = "steps that cannot be undone"
RULES: Mapping[str, Callable[[Mapping[str, Fingerprint], Sequence[str], Family], Iterator[Arrow]]] = {
    "marks alone, as before": by_marks,
    "geometry of three models, not used": between,
    NOW: claimed,
}


def counted(lineage: Lineage, models: Mapping[str, Fingerprint], arrows: Iterable[Arrow]) -> Counter[tuple[str, str]]:
    """(rule, truth) -> arrows."""
    return Counter((rule, truth(lineage, models, ancestor, descendant)) for rule, ancestor, descendant in arrows)


def table(counts: Counter[tuple[str, str]]) -> None:
    print(f"| rule | arrows | {' | '.join(TRUTHS)} | true, 95 % |\n|---|{'---|' * (len(TRUTHS) + 2)}")
    rules = [*sorted({rule for rule, _ in counts}), "all"]
    for rule in rules:
        row = [sum(n for (r, t), n in counts.items() if t == kind and rule in (r, "all")) for kind in TRUTHS]
        low, high = wilson(row[0], sum(row))
        print(f"| {rule} | {sum(row)} | {' | '.join(map(str, row))} | {low:.0%} to {high:.0%} |", flush=True)


def quietly(what: str, done: int, total: int) -> None:
    """No progress."""


def unjoined(models: Sequence[Fingerprint], members: tuple[int, ...]) -> Family:
    """Without neighbours, branches and merges, which take most of the time: a merge of a half is one of the whole too."""
    return Family(members, (), (), (), arrows(models, members))


def as_recorded(lineage: Lineage, names: Sequence[str]) -> list[tuple[int, ...]]:
    """Families, those of a common start too. By the tests they are the same in all zoos measured (`benchmarks/tree.py`)."""
    groups = DisjointSet(range(len(names)))
    for relation in lineage.pairs():
        if relation.truth != "unrelated":
            groups.merge(names.index(relation.reference), names.index(relation.suspect))
    return [tuple(sorted(group)) for group in groups.subsets() if len(group) > 1]


class Counts:
    """Distinct arrows of all zoos: one that several draws have counts once."""

    def __init__(self) -> None:
        self.arrows: dict[str, Counter[tuple[str, str]]] = {}
        self.roots: Counter[str] = Counter()

    def judge(self, folder: Path, draws: int) -> None:
        """Add those of one zoo. Halves are not joined to a tree: marks have no neighbours there, and merges are not sought."""
        lineage = Lineage.read(folder)
        models = {name: fingerprint(folder / name) for name in lineage.members}
        names, everything = list(models), list(models.values())
        groups = as_recorded(lineage, names)
        rng = np.random.default_rng(0)
        found: dict[str, set[Arrow]] = {}
        for group in groups:
            halves = [tuple(sorted(rng.choice(group, max(len(group) // 2, 2), replace=False).tolist())) for _ in range(draws)]
            for kind, chosen in (("whole families", [group]), (f"{draws} halves of each family", halves)):
                for members in chosen:
                    family = grown_from(everything, members, quietly) if members == group else unjoined(everything, members)
                    for rule, said in RULES.items():
                        found.setdefault(f"{rule}, {kind}", set()).update(said(models, names, family))
                    self.roots[f"{kind}: {root(lineage, models, names, family)}"] += 1
        for title, distinct in found.items():
            self.arrows.setdefault(title, Counter()).update(counted(lineage, models, distinct))
        if draws:
            together = set().union(*(distinct for title, distinct in found.items() if title.startswith(NOW)))
            self.arrows.setdefault(f"{NOW}, both", Counter()).update(counted(lineage, models, together))


def root(lineage: Lineage, models: Mapping[str, Fingerprint], names: Sequence[str], family: Family) -> str:
    """Whether the model that is named as the root is an ancestor of all others."""
    if family.root is None:
        return "no root named"
    others = [names[model] for model in family.models if model != family.root]
    return "root right" if all(truth(lineage, models, names[family.root], m) == "true" for m in others) else "root wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoos", type=Path, nargs="+", metavar="ZOO")
    parser.add_argument("--fewer", type=int, default=8, help="draws of half of a family")
    parser.add_argument("--calibration", type=Path, help="write how often the arrows of each rule are true")
    arguments = parser.parse_args()
    counts = Counts()
    began = time.perf_counter()
    for zoo in arguments.zoos:
        counts.judge(zoo, arguments.fewer)
        print(f"{zoo.name}: {time.perf_counter() - began:.0f} s", flush=True)
    for title, found in counts.arrows.items():
        if not found:
            continue
        print(f"\n{title}\n")
        table(found)
    print("\n" + ", ".join(f"{what} {count}" for what, count in sorted(counts.roots.items())))
    print(f"{time.perf_counter() - began:.0f} s")
    if arguments.calibration:
        arguments.calibration.write_text(json.dumps(calibration(counts, len(arguments.zoos)), indent=1) + "\n")


def calibration(counts: Counts, zoos: int) -> dict[str, Any]:
    """What `measured.json` holds."""
    drawn = counts.arrows.get(f"{NOW}, both", Counter())
    rules = sorted({rule for rule, _ in drawn})
    entries = {rule: {"true": drawn[rule, "true"], "drawn": sum(drawn[rule, t] for t in TRUTHS)} for rule in rules}
    return {"format": FORMAT, "measured_on": f"{zoos} zoos of random lineages, whole families and halves", "rules": entries}


if __name__ == "__main__":
    main()
