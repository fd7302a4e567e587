"""How many relatives does `tree` lose by leaving pairs of very many models untested if their vectors lie apart?

    python benchmarks/near_pairs.py ZOO [--without-families] [--json FILE]

The rule (`kinprint.library.trees.nearness`) begins at more models than a zoo has; here it is used on all of a zoo's models,
and on a disguised copy of each (`kinprint transform disguise`) where the architecture allows one. A copy has the relatives
of its model.

`near` are pairs that the rule has tested, each counted among strangers alone, as if no third model could join the two.
Related pairs that are not near are tested here all the same: `lost` are those that the tests would have joined, at alpha
over the number of all pairs.

`families` joins all models twice, by all pairs and by near pairs, and counts the pairs that end up in one family.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from hiding import dressed
from numpy.typing import NDArray

from kinprint import fingerprint, methods
from kinprint.comparison import ALPHA, examine
from kinprint.errors import ArchitectureError, TransformError
from kinprint.fingerprints import Fingerprint
from kinprint.library.trees.closer import closer, similarities
from kinprint.library.trees.families import families
from kinprint.library.trees.nearness import near, strongest
from kinprint.library.vectors import vectors
from kinprint.statistics import alpha_of_each
from kinprint.transforms import read_model
from kinprint.zoo import Lineage, habits


class Case(NamedTuple):
    """A model of the zoo, or a disguised copy of it."""

    member: str
    copy: bool
    measured: Fingerprint


def cases(zoo: Path, lineage: Lineage) -> Iterator[Case]:
    for name in lineage.members:
        yield Case(name, False, fingerprint(zoo / name))
        try:
            copy = dressed(read_model(zoo / name), ("disguise",), name)
        except (TransformError, ArchitectureError):
            continue
        seed = crc32(name.encode())
        yield Case(name, True, habits.measured(copy, f"{name}, disguised {seed}"))


def truth(lineage: Lineage, a: Case, b: Case) -> tuple[str, bool]:
    """How two cases are related, and whether a disguise lies between them."""
    if a.member == b.member:
        return "related", True
    relation = lineage.relation(a.member, b.member)
    return relation.truth, relation.disguised or a.copy or b.copy


def joined(groups: tuple[tuple[int, ...], ...], count: int) -> NDArray[np.bool_]:
    """(count, count) whether two models are in one family."""
    group = np.zeros(count, int)
    for number, members in enumerate(groups):
        group[list(members)] = number
    return group[:, None] == group


def counted(lineage: Lineage, found: list[Case]) -> tuple[dict[str, Counter[str]], list[dict[str, Any]]]:
    """Kind of pair -> how many there are, are near, are lost; and each related pair that is not near."""
    of_models, looked = [vectors(case.measured) for case in found], [closer(case.measured) for case in found]
    tested, strength, alike = near(of_models, looked), strongest(of_models), similarities(looked)
    strangers = np.array([[a is not b and truth(lineage, a, b)[0] == "unrelated" for b in found] for a in found])
    alpha = alpha_of_each(ALPHA, math.comb(len(found), 2))
    table: dict[str, Counter[str]] = {}
    missed = []
    for i, a in enumerate(found):
        for j, b in enumerate(found[:i]):
            kind, disguised = truth(lineage, a, b)
            row = table.setdefault(f"{kind}, {'disguised' if disguised else 'plain'}" if kind == "related" else kind, Counter())
            row["pairs"] += 1
            if kind == "unrelated":
                row["near"] += bool(tested[i, j])
                continue
            among = [i, j, *np.flatnonzero(strangers[i] & strangers[j])]
            if near([of_models[number] for number in among], [looked[number] for number in among])[0, 1]:
                row["near"] += 1
                continue
            said = examine((a.measured, b.measured), alpha=alpha, methods=methods.tests(), cache=True)
            row["lost"] += said.verdict in ("related", "identical")
            names = [f"{case.member}{' (copy)' if case.copy else ''}" for case in (a, b)]
            sds = {"strongest": float(strength[i, j]), "closer": alike[:, i, j].tolist()}
            missed.append({"models": names, "truth": kind, "log10_p": said.log10_p, **sds})
    return table, missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--without-families", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lineage = Lineage.read(options.zoo)
    found = list(cases(options.zoo, lineage))
    table, missed = counted(lineage, found)
    print(f"{len(found)} models\n\n| pairs | | near | lost |\n|---|---|---|---|")
    for kind, row in sorted(table.items()):
        lost = "" if kind == "unrelated" else row["lost"]
        print(f"| {kind} | {row['pairs']} | {row['near']} ({row['near'] / row['pairs']:.1%}) | {lost} |")
    for each in missed:
        p = "no test" if each["log10_p"] is None else f"log10 p {each['log10_p']:.1f}"
        sd = f"{each['strongest']:.1f} sd, {' and '.join(f'{look:.1f}' for look in each['closer'])} sd by the closer looks"
        print(f"not near: {' and '.join(each['models'])} ({each['truth']}), {sd}; {p}")
    told: dict[str, Any] = {"pairs": table, "missed": missed}
    if not options.without_families:
        models = [case.measured for case in found]
        every = families(models, cache=True)
        few = families(models, near=near(list(map(vectors, models)), list(map(closer, models))), cache=True)
        by_all, by_near = (joined(each.groups, len(models)) for each in (every, few))
        rows = Counter[tuple[str, str]]()
        for i, a in enumerate(found):
            for j, b in enumerate(found[:i]):
                kind = truth(lineage, a, b)[0]
                rows[kind, "pairs"] += 1
                rows[kind, "all"] += bool(by_all[i, j])
                rows[kind, "near"] += bool(by_near[i, j])
        print(f"\n{len(models)} models, {every.tested} pairs tested by all pairs, {few.tested} by near pairs\n")
        print("| families | pairs | joined by all pairs | joined by near pairs |\n|---|---|---|---|")
        for kind in sorted({kind for kind, _ in rows}):
            print(f"| {kind} | {rows[kind, 'pairs']} | {rows[kind, 'all']} | {rows[kind, 'near']} |")
        told["families"] = {f"{kind}: {what}": count for (kind, what), count in rows.items()}
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
