"""Trained weights or only a random start: how often the answer of `compare --deep` is right, on models of known lineage.

    python benchmarks/starts.py FOLDER [--lines report] [--zoo ZOO] [--tests] [--json FILE]

Trains what is missing in FOLDER (`start_recipes.py`; minutes), then looks at every pair that shares at least its random start.
The limits of `kinprint.comparison.origin` were set on `--lines rule`; the other lines, and the zoo, did not choose them.
With `--tests` it also asks what the p-values of attention and FFN would say, which do not tell the two apart.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from start_recipes import REPORT, RULE, lines

from kinprint import fingerprint, methods
from kinprint.architectures import open_model
from kinprint.comparison import examine
from kinprint.comparison.origin import ANSWERS, Origin, origin
from kinprint.terms import ALPHA
from kinprint.zoo import Lineage
from kinprint.zoo.build import build
from kinprint.zoo.lineage import Relation

FORMAT = "kinprint-origins/1"
UNTRAINED = "only the start; one is the start itself"
"""Too easy to be counted."""


def kind(relation: Relation) -> str:
    """What a row of the table holds, by the names that `start_recipes` gives."""
    a, b = (name.split("-", 2)[2] for name in (relation.reference, relation.suspect))
    if relation.truth == "related":
        return f"trained on, {b.removeprefix('base-')}" if a == "base" else "both trained on from one model"
    roots = {a.partition("-")[0], b.partition("-")[0]}
    if "start" in roots:
        return UNTRAINED
    if roots == {"base", "batches"}:
        return "only the start; the same batches in the same order"
    if "early" in roots:
        return "only the start; one trained for 0.3"
    return "only the start; " + ("other text" if len(roots & {"text", "10"}) == 1 else "the same text in another order")


def answers(zoo: Path, lineage: Lineage) -> Iterator[tuple[Relation, Origin | None]]:
    """Of every pair that shares at least a random start and is no disguise."""
    models = {name: open_model(zoo / name).weights for name in lineage.members}
    for relation in lineage.pairs():
        if relation.truth != "unrelated" and not relation.disguised:
            yield relation, origin(models[relation.reference], models[relation.suspect])


def by_tests(zoo: Path, lineage: Lineage) -> Iterator[tuple[Relation, float]]:
    """The p-value of `heads` and `matched-invariants` together, as log10, of the same pairs."""
    chosen = [method for method in methods.known() if method.name in ("heads", "matched-invariants")]
    prints = {name: fingerprint(zoo / name) for name in lineage.members}
    for relation in lineage.pairs():
        if relation.truth != "unrelated" and not relation.disguised:
            found = examine((prints[relation.reference], prints[relation.suspect]), methods=chosen)
            yield relation, found.log10_p or 0.0


def table(rows: Counter[tuple[str, str]]) -> str:
    kinds = sorted({name for name, _ in rows}, key=lambda name: (name.startswith("only"), name))
    text = [f"| truth | pairs | {' | '.join(ANSWERS)} |", "|---|---|" + "---|" * len(ANSWERS)]
    for name in kinds:
        counts = [rows[name, answer] for answer in ANSWERS]
        text.append(f"| {name} | {sum(counts)} | {' | '.join(map(str, counts))} |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lines", choices=("report", "rule"), default="report")
    parser.add_argument("--zoo", type=Path, help="a zoo of `kinprint zoo build`, counted too")
    parser.add_argument("--json", type=Path, help="write how often each answer was right")
    parser.add_argument("--tests", action="store_true", help="ask the tests, too")
    parser.add_argument("--pairs", action="store_true", help="print every pair, too")
    options = parser.parse_args()
    recipes = lines(REPORT if options.lines == "report" else RULE)
    found = [(kind(r), r, o) for r, o in answers(options.folder, build(options.folder, "tiny", jobs=1, only=recipes))]
    if options.zoo:
        names = {"related": "zoo: trained weights in common", "shared-initialisation": "only the start; zoo"}
        found += [(names[r.truth], r, o) for r, o in answers(options.zoo, Lineage.read(options.zoo))]
    for row, relation, said in found if options.pairs else ():
        kept = "" if said is None else f"{said.start:.2f} {said.kept[0]:.2f} {said.kept[1]:.2f} {said.answer}"
        print(f"{row:60} {relation.reference:22} {relation.suspect:22} {kept}")
    print(table(Counter((row, said.answer if said else "cannot tell") for row, _, said in found)))
    right: dict[str, list[bool]] = {answer: [] for answer in ANSWERS if answer != "cannot tell"}
    for row, relation, said in found:
        if said is not None and said.answer in right and row != UNTRAINED:
            right[said.answer].append((said.answer == "shared training") == (relation.truth == "related"))
    counts = {answer: {"right": sum(each), "of": len(each)} for answer, each in right.items()}
    print("\nright, the start itself aside: " + ", ".join(f"{a}: {c['right']} of {c['of']}" for a, c in counts.items()))
    if options.tests:
        tested = list(by_tests(options.folder, Lineage.read(options.folder)))
        for truth in ("related", "shared-initialisation"):
            p_values = [log10_p for relation, log10_p in tested if relation.truth == truth]
            small = sum(log10_p <= math.log10(ALPHA) for log10_p in p_values)
            print(f"`heads` or `matched-invariants`, p at most {ALPHA:g}, {truth}: {small} of {len(p_values)}")
    if options.json:
        on = "the lines REPORT of benchmarks/start_recipes.py" + (" and a tiny zoo" if options.zoo else "")
        options.json.write_text(json.dumps({"format": FORMAT, "measured_on": on, "answers": counts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
