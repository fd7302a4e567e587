"""Which models a library should hold first: `src/kinprint/library/references/first.json`, made from lists of the package.

    python benchmarks/first_models.py check      # is the file what the rule gives?
    python benchmarks/first_models.py write

Every id stands in a list of the package; none is added here.

1. Models that published pairs name as the parent, those of most pairs first, then by id. AWM's and LeaFBench's lists put the
   base first. model-provenance-kit's does not say which is the parent: there it is the one that `references.json` names, if it
   names one of the two. The Independence Tests list families, not parents. Pairs marked similar without descent do not count.
2. Then models of `references.json` in rounds, one a family and round: the smallest that is not there yet, by the size in its
   name. Families without a model so far come first; in a round, smaller models; those without a size in their name last; then
   by id.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from kinprint.benchmark.published import published
from kinprint.library.references.listing import FILE, FIRST, FORMAT

COUNT = 100
LISTS = ("awm", "cisco", "leafbench")
PARENT_FIRST = ("awm", "leafbench")
"""Lists whose pairs name the base before the descendant."""

NO_DESCENT = "none"
SAME = {"meta-llama/Llama-3.1-8B": "meta-llama/Meta-Llama-3.1-8B"}
"""One repository under two names, as AWM's configs.py and LeaFBench's list write it: the name that `references.json` has."""

_SIZE = re.compile(r"(\d+(?:[._]\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)


def first() -> dict[str, Any]:
    """The list, in order."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Any]] = {row["id"]: row for row in known["models"]}
    counts = parents(set(rows))
    order = sorted(counts, key=lambda name: (-counts[name].total(), name))
    order += list(rounds(rows, order))
    models = [
        {"place": place, **(rows.get(name) or _row(name, counts[name])), "pairs": dict(sorted(counts[name].items()))}
        for place, name in enumerate(order[:COUNT], 1)
    ]
    sources = {name: f"{published(name).source} (src/kinprint/benchmark/lists/{name}.json)" for name in LISTS}
    rule = (__doc__ or "").split("\n\n", 3)[3].split("\n")
    return {
        "format": FORMAT,
        "rule": " ".join(line.strip() for line in rule if line),
        "sources": {**known["sources"], **sources},
        "models": models,
    }


def parents(known: set[str]) -> dict[str, Counter[str]]:
    """Model -> list -> related pairs of it that name the model as the parent."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name in LISTS:
        for pair in json.loads((FILE.parents[2] / "benchmark" / "lists" / f"{name}.json").read_text(encoding="utf-8"))["pairs"]:
            if not pair["related"] or pair["relation"] == NO_DESCENT:
                continue
            sides = [SAME.get(pair[side], pair[side]) for side in "ab"]
            if name in PARENT_FIRST:
                found[sides[0]][name] += 1
            elif len(bases := known & set(sides)) == 1:
                found[bases.pop()][name] += 1
    return found


def rounds(rows: dict[str, dict[str, Any]], there: list[str]) -> Iterator[str]:
    """Ids of the models of the list that are not there yet: one a family and round, families that have fewest models first."""
    taken = Counter(rows[name]["family"] for name in there if name in rows)
    left: dict[str, list[str]] = defaultdict(list)
    for name in sorted(rows.keys() - set(there), key=lambda name: (parameters(name), name)):
        left[rows[name]["family"]].append(name)
    while left:
        fewest = min(taken[family] for family in left)
        turn = [family for family in left if taken[family] == fewest]
        for family in sorted(turn, key=lambda family: (parameters(left[family][0]), left[family][0])):
            yield left[family].pop(0)
            taken[family] += 1
            if not left[family]:
                del left[family]


def parameters(name: str) -> float:
    """By the size in a name; infinite where it has none."""
    found = _SIZE.search(name.partition("/")[2])
    return float(found[1].replace("_", ".")) * {"b": 1e9, "m": 1e6}[found[2].lower()] if found else float("inf")


def _row(name: str, pairs: Counter[str]) -> dict[str, Any]:
    """A model that `references.json` does not have: nothing is known of it but its id, and what that says."""
    found = _SIZE.search(name.partition("/")[2])
    size = f"{found[1].replace('_', '.')}{found[2]}" if found else None
    family = name.partition("/")[2].lower()
    family = family[: family.index(found[0].lower())].rstrip("-_.") if found else family
    sources = {"id": min(pairs), "family": "id"} | ({"size": "id"} if size else {})
    empty = dict.fromkeys(("architecture", "layers", "hidden_size", "licence"))
    return {"id": name, "revision": "main", "family": family, "size": size, **empty, "sources": sources}


def text() -> str:
    """The file: one line a model."""
    found = first()
    head = json.dumps({**found, "models": []}, indent=1)
    lines = ",\n".join(f"  {json.dumps(row)}" for row in found["models"])
    return head.replace('"models": []', f'"models": [\n{lines}\n ]') + "\n"


def main() -> None:
    if sys.argv[1:] == ["write"]:
        FIRST.write_text(text(), encoding="utf-8")
    elif sys.argv[1:] != ["check"]:
        sys.exit(__doc__)
    elif FIRST.read_text(encoding="utf-8") != text():
        sys.exit(f"{FIRST.name} is not what the rule gives: run `python benchmarks/first_models.py write`")


if __name__ == "__main__":
    main()
